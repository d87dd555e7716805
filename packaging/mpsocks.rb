# Homebrew formula. For a tap: set version and sha256 (that of the source archive).
class Mpsocks < Formula
  desc "SOCKS5 and HTTP proxy over all network paths at once"
  homepage "https://github.com/mpsocks/mpsocks"
  url "https://github.com/mpsocks/mpsocks/archive/refs/tags/vVERSION.tar.gz"
  sha256 "SHA256"
  license "Apache-2.0"

  depends_on "go" => :build

  def install
    ENV["CGO_ENABLED"] = "0"
    system "go", "build", *std_go_args(ldflags: "-s -w -X main.version=v#{version}"), "./cmd/mpsocks"
    pkgshare.install "configs/client.yaml", "configs/egress.yaml"
    system bin/"mpsocks", "man", man1
    generate_completions_from_executable(bin/"mpsocks", "completion")
  end

  service do
    run [opt_bin/"mpsocks", "client", "-c", etc/"mpsocks/client.yaml"]
    keep_alive successful_exit: false
    error_log_path var/"log/mpsocks.log"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/mpsocks version")
    system bin/"mpsocks", "init", "--dir", testpath, "--address", "192.0.2.1:8443"
    system bin/"mpsocks", "check", "-c", testpath/"egress.yaml"
  end
end

package bench

import (
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
)

// hostSysctls are the kernel settings that transports depend on.
var hostSysctls = []string{
	"net.ipv4.tcp_congestion_control", "net.ipv4.tcp_available_congestion_control", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
	"net.core.rmem_max", "net.core.wmem_max", "net.core.default_qdisc", "net.mptcp.enabled", "net.mptcp.scheduler",
}

// hostModules are the modules that transports are made of.
var hostModules = []string{
	"github.com/quic-go/quic-go", "github.com/things-go/go-socks5", "golang.org/x/crypto", "golang.org/x/net", "golang.org/x/sys",
}

// ReadHost finds out what the machine and this program are.
func ReadHost(version string) Host {
	h := Host{
		OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version(), Version: version,
		Root: rootOfMachine(), Modules: map[string]string{}, Sysctls: map[string]string{},
	}
	h.Kernel = strings.TrimSpace(string(readText("/proc/sys/kernel/osrelease")))
	h.CPU = field(readText("/proc/cpuinfo"), "model name")
	if kib, ok := strings.CutSuffix(field(readText("/proc/meminfo"), "MemTotal"), " kB"); ok {
		n, _ := strconv.ParseInt(kib, 10, 64) // zero is unknown
		h.Memory = n << 10
	}
	for _, name := range hostSysctls {
		if v := strings.TrimSpace(string(readText("/proc/sys/" + strings.ReplaceAll(name, ".", "/")))); v != "" {
			h.Sysctls[name] = strings.Join(strings.Fields(v), " ")
		}
	}
	h.Congestion = h.Sysctls["net.ipv4.tcp_congestion_control"]
	if info, ok := debug.ReadBuildInfo(); ok {
		h.readBuild(info)
	}
	if h.Commit == "" {
		h.Commit, h.Modified = commitOf(version)
	}
	return h
}

func (h *Host) readBuild(info *debug.BuildInfo) {
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			h.Commit = s.Value
		case "vcs.modified":
			h.Modified = s.Value == "true"
		}
	}
	for _, m := range info.Deps {
		if slices.Contains(hostModules, m.Path) {
			h.Modules[m.Path] = m.Version
		}
	}
}

// commitOf reads what `git describe --tags --always --dirty` says, where the
// build itself was not told.
func commitOf(version string) (commit string, modified bool) {
	v, modified := strings.CutSuffix(version, "-dirty")
	if i := strings.LastIndex(v, "-g"); i >= 0 {
		v = v[i+2:]
	}
	if len(v) < 7 || strings.Trim(v, "0123456789abcdef") != "" {
		return "", false
	}
	return v, modified
}

// rootOfMachine says whether this process is root, and not only in a user
// namespace of its own.
func rootOfMachine() bool {
	if os.Getuid() != 0 {
		return false
	}
	f := strings.Fields(string(readText("/proc/self/uid_map")))
	return len(f) == 0 || len(f) == 3 && f[2] == strconv.FormatUint(1<<32-1, 10)
}

// readText is the text of a file of /proc; none where there is no such file.
func readText(name string) []byte {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	return text
}

// field finds the value of a line `name : value`.
func field(text []byte, name string) string {
	for line := range bytes.Lines(text) {
		if k, v, ok := strings.Cut(string(line), ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

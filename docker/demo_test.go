package docker

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// download is how much the test fetches: enough that what waits in buffers when a network
// goes is a small part of it.
const download = 200 << 20

// TestDemo packs the images, starts the demo, and takes one of its two networks away in the
// middle of a download. It needs an engine and nothing else, and is skipped without one.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("builds images")
	}
	compose := composeTool(t)
	nobodysElse(t)
	command(t, "make", "-C", "..", "docker")
	t.Cleanup(func() { command(t, compose[0], append(compose[1:], "-f", "compose.demo.yaml", "down", "--volumes")...) })
	command(t, compose[0], append(compose[1:], "-f", "compose.demo.yaml", "up", "-d")...)
	began := time.Now()
	for _, c := range []string{"mpsocks-egress", "mpsocks-client"} {
		awaitHealth(t, c)
	}
	t.Logf("healthy %v after compose up had returned", time.Since(began).Round(100*time.Millisecond))

	body := fetch(t, fmt.Sprintf("http://web:8080/bytes/%d", download))
	defer body.Close()
	got := sha256.New()
	for lines := carried(t); lines["line1"] < 1<<20 || lines["line2"] < 1<<20; lines = carried(t) {
		if n, err := io.CopyN(got, body, 8<<20); err != nil {
			t.Fatalf("after %d bytes, with %v by lines: %v; want some by both of them", n, lines, err)
		}
	}
	command(t, "docker", "network", "disconnect", "mpsocks-line1", "mpsocks-client")
	if _, err := io.Copy(got, body); err != nil {
		t.Fatalf("download after its network was disconnected: %v", err)
	}
	if want := pattern(download); string(got.Sum(nil)) != string(want.Sum(nil)) {
		t.Errorf("sha256 of the download = %x, want %x", got.Sum(nil), want.Sum(nil))
	}
	command(t, "docker", "exec", "mpsocks-client", "/mpsocks", "health") // by the other line
}

// composeTool is how Compose is run here.
func composeTool(t *testing.T) []string {
	t.Helper()
	if err := exec.Command("docker", "info").Run(); err != nil {
		t.Skipf("no container engine: docker info: %v", err)
	}
	if exec.Command("docker", "compose", "version").Run() == nil {
		return []string{"docker", "compose"}
	}
	if _, err := exec.LookPath("docker-compose"); err != nil {
		t.Skip("no docker compose")
	}
	return []string{"docker-compose"}
}

// nobodysElse skips the test if there are containers or a volume of these names already: somebody
// uses them, and what the test leaves behind it takes away.
func nobodysElse(t *testing.T) {
	t.Helper()
	for _, is := range [][]string{{"container", "mpsocks-client"}, {"container", "mpsocks-egress"}, {"volume", "mpsocks-egress"}} {
		if exec.Command("docker", is[0], "inspect", is[1]).Run() == nil {
			t.Skipf("there is a %s %s already, which is somebody's", is[0], is[1])
		}
	}
}

// command runs a program that must succeed, and returns what it wrote.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	var errs strings.Builder
	c := exec.Command(name, args...)
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, errs.String())
	}
	return strings.TrimSpace(string(out))
}

// awaitHealth waits until the engine calls the container healthy, or unhealthy.
func awaitHealth(t *testing.T, container string) {
	t.Helper()
	for {
		switch state := command(t, "docker", "inspect", "-f", "{{.State.Status}} {{.State.Health.Status}}", container); state {
		case "running healthy":
			return
		case "running starting":
			time.Sleep(200 * time.Millisecond) // the engine tells of health only who asks again, by a program of its own
		default:
			t.Fatalf("container %s is %s; its log:\n%s", container, state, command(t, "docker", "logs", container))
		}
	}
}

// fetch begins a download through the client's port.
func fetch(t *testing.T, target string) io.ReadCloser {
	t.Helper()
	proxy := &url.URL{Scheme: "socks5h", User: url.UserPassword("demo", "demo"), Host: "127.0.0.1:1080"}
	tr := &http.Transport{Proxy: http.ProxyURL(proxy)}
	t.Cleanup(tr.CloseIdleConnections)
	resp, err := (&http.Client{Transport: tr}).Get(target)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s", target, resp.Status)
	}
	return resp.Body
}

// carried is what each line has brought.
func carried(t *testing.T) map[string]uint64 {
	t.Helper()
	var paths []struct {
		Name string
		RX   uint64 `json:"rx_bytes"`
	}
	text := command(t, "docker", "exec", "mpsocks-client", "/mpsocks", "paths", "--json")
	if err := json.Unmarshal([]byte(text), &paths); err != nil {
		t.Fatalf("paths --json: %v\n%s", err, text)
	}
	lines := make(map[string]uint64)
	for _, p := range paths {
		lines[p.Name] = p.RX
	}
	return lines
}

// pattern is the hash of what the web target sends: 64-bit numbers, counted up.
func pattern(n int) hash.Hash {
	h := sha256.New()
	var b []byte
	for i := range n / 8 {
		if b = binary.LittleEndian.AppendUint64(b, uint64(i)); len(b) == 1<<16 {
			h.Write(b)
			b = b[:0]
		}
	}
	h.Write(b)
	return h
}

// TestEgressFromNothing starts the egress that is set up by its environment alone: keys come into a
// volume at the first start, and the join link into the log, once. A client is made from it.
func TestEgressFromNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("builds images")
	}
	compose := composeTool(t)
	nobodysElse(t)
	command(t, "make", "-C", "..", "docker")
	t.Setenv("MPSOCKS_ADDRESS", "192.0.2.1:8443") // for the link; nobody dials it here
	up := func(args ...string) string {
		return command(t, compose[0], append(append(slices.Clone(compose[1:]), "-f", "compose.egress.yaml"), args...)...)
	}
	t.Cleanup(func() { up("down", "--volumes") })
	up("up", "-d")
	awaitHealth(t, "mpsocks-egress")
	up("restart")
	awaitHealth(t, "mpsocks-egress")
	link := regexp.MustCompile(`mpsocks://\S+`).FindAllString(command(t, "sh", "-c", "docker logs mpsocks-egress 2>&1"), -1)
	if len(link) != 1 {
		t.Fatalf("%d join links in the log after two starts, want one", len(link))
	}
	join := exec.Command("../bin/mpsocks", "join", "-", "--dir", t.TempDir())
	join.Stdin = strings.NewReader(link[0])
	if out, err := join.CombinedOutput(); err != nil {
		t.Errorf("join: %v\n%s", err, out)
	}
	if got := command(t, "docker", "inspect", "-f", "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}", "mpsocks-egress"); got != "65532:65532 true [ALL]" {
		t.Errorf("user, read-only, without capabilities: %s", got)
	}
}

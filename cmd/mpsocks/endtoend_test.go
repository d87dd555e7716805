package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mpsocks/mpsocks/internal/admin"
)

// pattern is n bytes that differ everywhere.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>16*7 + i>>8*3 + i)
	}
	return b
}

// webTarget serves body to GET, and answers the hash of what it is sent to PUT.
func webTarget(t *testing.T, body []byte) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = w.Write(body)
			return
		}
		h := sha256.New()
		_, _ = io.Copy(h, r.Body)
		fmt.Fprintf(w, "%x", h.Sum(nil))
	}))
	t.Cleanup(s.Close)
	return s
}

// throughSocks is an HTTP client whose connections go through a SOCKS5 port.
func throughSocks(t *testing.T, user *url.Userinfo, proxy string) *http.Client {
	t.Helper()
	return throughProxy(t, &url.URL{Scheme: "socks5h", Host: proxy, User: user})
}

// throughProxy is an HTTP client that uses a proxy as its URL says.
func throughProxy(t *testing.T, u *url.URL) *http.Client {
	t.Helper()
	tr := &http.Transport{Proxy: http.ProxyURL(u)}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// throughConnect is an HTTP client whose connections go through HTTP CONNECT.
func throughConnect(t *testing.T, proxy string) *http.Client {
	t.Helper()
	dial := func(ctx context.Context, _, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", proxy)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", addr, addr)
		r := bufio.NewReader(c)
		resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
		if err != nil || resp.StatusCode != http.StatusOK || r.Buffered() > 0 {
			_ = c.Close()
			return nil, fmt.Errorf("CONNECT: %v, %v", resp, err)
		}
		return c, nil
	}
	tr := &http.Transport{DialContext: dial}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// fetch downloads and uploads through c and checks every byte.
func fetch(t *testing.T, c *http.Client, target string, body []byte) {
	t.Helper()
	defer c.CloseIdleConnections() // or a drain would wait for them
	resp, err := c.Get(target)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || sha256.Sum256(got) != sha256.Sum256(body) {
		t.Fatalf("download: %d bytes, %v, want the %d sent", len(got), err, len(body))
	}
	req, err := http.NewRequest(http.MethodPut, target, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	if resp, err = c.Do(req); err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	hash, err := io.ReadAll(resp.Body)
	if want := fmt.Sprintf("%x", sha256.Sum256(body)); err != nil || string(hash) != want {
		t.Fatalf("upload: hash %s, %v, want %s", hash, err, want)
	}
}

// statusOf asks an admin port.
func statusOf(t *testing.T, addr string) statusView {
	t.Helper()
	answer, err := admin.Fetch(t.Context(), addr, "/status")
	if err != nil {
		t.Fatal(err)
	}
	var s statusView
	if err := json.Unmarshal(answer, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDemo(t *testing.T) {
	body := pattern(3 << 20)
	target := webTarget(t, body)
	d := launch(t, "demo", "--socks", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	ready := words(d.err.line(t, " ready "))
	d.out.line(t, "curl --socks5-hostname "+ready["socks"])
	d.out.line(t, "curl -x http://"+ready["socks"])
	d.out.line(t, "mpsocks status --admin "+ready["admin"])

	fetch(t, throughSocks(t, nil, ready["socks"]), target.URL, body)
	fetch(t, throughConnect(t, ready["socks"]), target.URL, body)
	fetch(t, throughProxy(t, &url.URL{Scheme: "http", Host: ready["socks"]}), target.URL, body)

	s := statusOf(t, ready["admin"])
	if s.Role != "client" || s.Session.State != "up" || s.Session.ID == "" || len(s.Paths) != 2 {
		t.Errorf("status = %+v, want a client with a session and two paths", s)
	}
	if got := mpsocks(t, "", "paths", "--admin", ready["admin"]); got.code != exitOK || !strings.Contains(got.out, "path1") || !strings.Contains(got.out, "path2") {
		t.Errorf("paths = %+v", got)
	}
	if code := d.stop(); code != exitOK {
		t.Errorf("demo ended with %d:\n%s", code, d.err)
	}
}

func TestDemoPortTaken(t *testing.T) {
	ln, err := listenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	got := mpsocks(t, "", "demo", "--socks", ln.Addr().String(), "--admin", "127.0.0.1:0")
	if got.code != exitFailure || !strings.Contains(got.err, "; end that one, or change --socks\n") {
		t.Errorf("demo on a port that is taken = %+v, want code 1 and a hint", got)
	}
}

// A port that is taken is said with the key that names it.
func TestPortTaken(t *testing.T) {
	ln, err := listenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().String()
	client, egress := testFiles(t)
	edit(t, client, "listen: \"127.0.0.1:0\"}", "listen: \""+taken+"\"}")
	edit(t, egress, "listen: \"127.0.0.1:0\"}", "listen: \""+taken+"\"}")
	want := func(key, verb, file string) {
		t.Helper()
		got := mpsocks(t, "", verb, "-c", file)
		if got.code != exitFailure || !strings.Contains(got.err, "mpsocks: "+key+": ") || !strings.Contains(got.err, "or change "+key+"\n") {
			t.Errorf("%s whose %s is taken = %+v", verb, key, got)
		}
	}
	want("admin.listen", "client", client)
	want("admin.listen", "egress", egress)
	edit(t, client, "listen: 127.0.0.1:0", "listen: "+taken)
	edit(t, egress, "- \"127.0.0.1:0\"", "- \""+taken+"\"")
	want("socks.listen", "client", client)
	want("listen", "egress", egress)
}

// testFiles are the files of an egress and its client with ports that the
// system chooses; the client's must be told the egress's when it has one.
func testFiles(t *testing.T) (client, egress string) {
	t.Helper()
	dir := t.TempDir()
	link := initEgress(t, filepath.Join(dir, "egress"), "--address", "127.0.0.1:1", "--listen", "127.0.0.1:0")
	if got := mpsocks(t, link, "join", "-", "--dir", filepath.Join(dir, "client")); got.code != exitOK {
		t.Fatalf("join = %+v", got)
	}
	client, egress = filepath.Join(dir, "client", clientFile), filepath.Join(dir, "egress", egressFile)
	edit(t, client, "127.0.0.1:1080", "127.0.0.1:0")
	two := demoPaths()[1].Source // the same as the first where the system has but one
	edit(t, client, "paths: auto", fmt.Sprintf("paths: [{name: one, source: 127.0.0.1}, {name: two, source: %s, egress: [\"localhost:1\"]}]", two))
	for _, file := range []string{client, egress} {
		edit(t, file, "# ", "admin: {listen: \"127.0.0.1:0\"}\n# ")
	}
	edit(t, egress, "# ", "targets: {allow: [127.0.0.0/8]}\n# ")
	return client, egress
}

func TestClientAndEgress(t *testing.T) {
	for _, transport := range []string{"mptcp", "tcp"} {
		t.Run(transport, func(t *testing.T) { testClientAndEgress(t, transport) })
	}
}

// pointAt has a client's file name the port that its egress listens on.
func pointAt(t *testing.T, client, listen string) {
	t.Helper()
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		t.Fatal(err)
	}
	edit(t, client, "127.0.0.1:1\"", listen+"\"")
	edit(t, client, "localhost:1\"", "localhost:"+port+"\"")
}

func testClientAndEgress(t *testing.T, transport string) {
	body := pattern(2 << 20)
	target := webTarget(t, body)
	client, egress := testFiles(t)
	out := launch(t, "egress", "-c", egress)
	at := words(out.err.line(t, " ready "))
	pointAt(t, client, at["listen"])
	edit(t, client, "# ", "transport: "+transport+"\n# ")
	edit(t, client, "  listen: ", "  users: {alice: secret}\n  listen: ")
	in := launch(t, "client", "-c", client)
	ready := words(in.err.line(t, " ready "))

	fetch(t, throughSocks(t, url.UserPassword("alice", "secret"), ready["socks"]), target.URL, body)
	if resp, err := throughSocks(t, url.UserPassword("alice", "wrong"), ready["socks"]).Get(target.URL); err == nil {
		_ = resp.Body.Close()
		t.Error("a wrong password was let in")
	}
	if s := statusOf(t, ready["admin"]); s.Role != "client" || s.Session.Transport != transport || len(s.Paths) != 2 {
		t.Errorf("client's status = %+v", s)
	}
	if s := statusOf(t, at["admin"]); s.Role != "egress" {
		t.Errorf("egress's status = %+v", s)
	}
	if code := in.stop(); code != exitOK {
		t.Errorf("client ended with %d:\n%s", code, in.err)
	}
	if code := out.stop(); code != exitOK {
		t.Errorf("egress ended with %d:\n%s", code, out.err)
	}
}

// A client starts, and says so, while its egress is not there.
func TestClientWithoutEgress(t *testing.T) {
	client, _ := testFiles(t)
	in := launch(t, "client", "-c", client)
	ready := words(in.err.line(t, " ready "))
	if ready["state"] == "" || ready["state"] == "up" {
		t.Errorf("ready with state %q, want one that says the egress is not there", ready["state"])
	}
	if resp, err := throughSocks(t, nil, ready["socks"]).Get("http://192.0.2.1/"); err == nil {
		_ = resp.Body.Close()
		t.Error("a request succeeded without an egress")
	}
	if code := in.stop(); code != exitOK {
		t.Errorf("client ended with %d:\n%s", code, in.err)
	}
}

// SIGTERM lets a transfer finish; the second one does not.
func TestDrain(t *testing.T) {
	half, rest := make(chan struct{}), make(chan struct{})
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "first ")
		w.(http.Flusher).Flush()
		close(half)
		<-rest
		fmt.Fprint(w, "second")
	}))
	defer target.Close()
	d := launch(t, "demo", "--socks", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	ready := words(d.err.line(t, " ready "))
	c := throughSocks(t, nil, ready["socks"])
	resp, err := c.Get(target.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	<-half
	d.signals <- os.Interrupt
	d.err.line(t, "draining")
	close(rest)
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != "first second" {
		t.Errorf("transfer during the drain = %q, %v, want all of it", got, err)
	}
	c.CloseIdleConnections()
	if code := d.wait(); code != exitOK {
		t.Errorf("demo ended with %d:\n%s", code, d.err)
	}
}

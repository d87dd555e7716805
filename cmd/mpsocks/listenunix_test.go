package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// shortDir is a folder whose name leaves room for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mps")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestListenUnix(t *testing.T) {
	file := filepath.Join(shortDir(t), "s")
	ln, err := listenUnix(file, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Lstat(file); runtime.GOOS != "windows" && (err != nil || fi.Mode().Perm() != 0o640 || fi.Mode()&fs.ModeSocket == 0) {
		t.Errorf("the socket is %v, %v", fi.Mode(), err)
	}
	if _, err := listenUnix(file, 0o600); !errors.Is(err, errPortInUse) {
		t.Errorf("a second listener: %v, want that the socket is in use", err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false) // as by a crash
	ln.Close()
	if _, err := os.Lstat(file); err != nil {
		t.Fatal(err)
	}
	if ln, err = listenUnix(file, 0o600); err != nil {
		t.Fatalf("a socket that was left behind: %v", err)
	}
	ln.Close()
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is there after its end: %v", err)
	}
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(file, 0o600); err == nil {
		t.Error("a file was taken for a socket")
	}
	if b, _ := os.ReadFile(file); string(b) != "precious" {
		t.Errorf("the file holds %q", b)
	}
	if _, err := listenUnix(filepath.Join(file, "s"), 0o600); err == nil {
		t.Error("a socket was made below a file")
	}
}

// A client serves ports and unix sockets at once.
func TestClientOnUnixSocket(t *testing.T) {
	client, egress := testFiles(t)
	out := launch(t, "egress", "-c", egress)
	at := words(out.err.line(t, " ready "))
	edit(t, client, "127.0.0.1:1\"", at["listen"]+"\"")
	file := filepath.Join(shortDir(t), "s")
	edit(t, client, "  listen: 127.0.0.1:0", "  listen: [\"127.0.0.1:0\", \"unix:"+file+"\"]")
	in := launch(t, "client", "-c", client)
	ready := words(in.err.line(t, " ready "))
	ports := strings.Split(ready["socks"], ",")
	if len(ports) != 2 || ports[1] != "unix:"+file {
		t.Fatalf("ready on %q", ready["socks"])
	}
	body := pattern(1 << 16)
	target := webTarget(t, body)
	fetch(t, throughSocks(t, nil, ports[0]), target.URL, body)
	dial := func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", file) }
	resp, err := (&http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}).Get("http://proxy.example/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest { // it is a proxy, and says so
		t.Errorf("status %d over the unix socket", resp.StatusCode)
	}
	if code := in.stop(); code != exitOK {
		t.Errorf("client ended with %d:\n%s", code, in.err)
	}
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is there after the client's end: %v", err)
	}
}

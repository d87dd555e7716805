package main

import (
	"net/url"
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/mpsocks/mpsocks/configs"
)

func TestUserVerbs(t *testing.T) {
	client, _ := testFiles(t)
	if got := mpsocks(t, "pass word\n", "user", "add", "alice", "-c", client); got.code != exitOK || got.out != "" {
		t.Fatalf("user add = %+v", got)
	}
	if got := mpsocks(t, "other", "user", "add", "a: b", "-c", client); got.code != exitOK {
		t.Fatalf("user add = %+v", got)
	}
	cfg, err := configs.LoadClient(client)
	if err != nil {
		t.Fatal(err)
	}
	if err := bcrypt.CompareHashAndPassword([]byte(cfg.Socks.Users["alice"]), []byte("pass word")); err != nil {
		t.Errorf("alice's hash: %v", err)
	}
	text, err := os.ReadFile(client)
	if err != nil || strings.Contains(string(text), "pass word") {
		t.Errorf("the file has the password, or %v", err)
	}
	if got := mpsocks(t, "", "user", "list", "-c", client); got.code != exitOK || got.out != "a: b\tbcrypt\nalice\tbcrypt\n" {
		t.Errorf("user list = %+v", got)
	}
	if got := mpsocks(t, "x\n", "user", "add", "alice", "-c", client); got.code != exitUsage || !strings.Contains(got.err, "already has a user named alice") {
		t.Errorf("user add twice = %+v", got)
	}
	for _, password := range []string{"", "\n", strings.Repeat("x", 73)} {
		if got := mpsocks(t, password, "user", "add", "bob", "-c", client); got.code == exitOK {
			t.Errorf("user add with the password %q = %+v", password, got)
		}
	}
	for _, name := range []string{"a: b", "alice"} {
		if got := mpsocks(t, "", "user", "remove", name, "-c", client); got.code != exitOK {
			t.Errorf("user remove %s = %+v", name, got)
		}
	}
	if got := mpsocks(t, "", "user", "list", "-c", client); got.code != exitOK || got.out != "" {
		t.Errorf("user list of nobody = %+v", got)
	}
	if got := mpsocks(t, "", "user", "remove", "alice", "-c", client); got.code != exitUsage {
		t.Errorf("user remove twice = %+v", got)
	}
	if got := mpsocks(t, "", "user", "add", "alice"); got.code != exitUsage {
		t.Errorf("user add without a file = %+v", got)
	}
}

// A port for other machines needs its first user before it can start.
func TestUserOfOpenPort(t *testing.T) {
	client, _ := testFiles(t)
	edit(t, client, "listen: 127.0.0.1:0", "listen: 0.0.0.0:0")
	got := mpsocks(t, "", "client", "-c", client)
	if got.code != exitUsage || !strings.Contains(got.err, "socks.users") || !strings.Contains(got.err, "socks.allow_clients") {
		t.Errorf("an open port = %+v, want a refusal that names both settings", got)
	}
	if got := mpsocks(t, "secret\n", "user", "add", "alice", "-c", client); got.code != exitOK {
		t.Fatalf("user add = %+v", got)
	}
	in := launch(t, "client", "-c", client)
	ready := words(in.err.line(t, " ready "))
	_, port, _ := strings.Cut(ready["socks"], "]:")
	if port == "" {
		_, port, _ = strings.Cut(ready["socks"], "0.0.0.0:")
	}
	for _, user := range []*url.Userinfo{nil, url.UserPassword("alice", "wrong")} {
		if resp, err := throughSocks(t, user, "127.0.0.1:"+port).Get("http://192.0.2.1/"); err == nil {
			_ = resp.Body.Close()
			t.Errorf("%v was let in", user)
		}
	}
	if got := mpsocks(t, "", "user", "remove", "alice", "-c", client); got.code == exitOK {
		t.Error("the last user of an open port was removed")
	}
}

func TestUserAddWithoutAPassword(t *testing.T) {
	client, _ := pairOfFiles(t, "127.0.0.1:8443")
	for _, in := range []string{"", "\n"} {
		if got := mpsocks(t, in, "user", "add", "alice", "-c", client); got.code != exitUsage || !strings.Contains(got.err, "no password: type it, or pipe it in") {
			t.Errorf("user add of %q: %+v", in, got)
		}
	}
}

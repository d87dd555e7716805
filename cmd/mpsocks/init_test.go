package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/upstream"
)

// initEgress makes an egress in dir and returns the link it printed.
func initEgress(t *testing.T, dir string, args ...string) string {
	t.Helper()
	got := mpsocks(t, "", append([]string{"init", "--dir", dir}, args...)...)
	if got.code != exitOK {
		t.Fatalf("init %q = %+v", args, got)
	}
	if !strings.HasPrefix(got.out, configs.LinkScheme) || strings.Count(got.out, "\n") != 1 {
		t.Fatalf("init prints %q, want the link alone", got.out)
	}
	return strings.TrimSpace(got.out)
}

func TestInitAndJoin(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "egress")
	text := initEgress(t, dir, "--address", "a.example:8443,[2001:db8::1]:443", "--listen", "127.0.0.1:9443", "--client", "laptop")

	egress, err := configs.LoadEgress(filepath.Join(dir, "egress.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	egressID, err := upstream.LoadIdentity(egress.Identity)
	if err != nil {
		t.Fatal(err)
	}
	link, err := configs.ParseLink(text)
	if err != nil {
		t.Fatal(err)
	}
	address := []string{"a.example:8443", "[2001:db8::1]:443"}
	if link.Client != "laptop" || upstream.PublicKey(link.EgressKey) != egressID.Public() || !slices.Equal(link.Egress, address) {
		t.Errorf("link = %v to %q, want laptop's with the egress's key", link, link.Egress)
	}
	if !slices.Equal(egress.Listen, []string{"127.0.0.1:9443"}) || !slices.Equal(egress.Address, address) {
		t.Errorf("egress.yaml: listen %q, address %q", egress.Listen, egress.Address)
	}

	client := joinClient(t, text)
	clientID, err := upstream.LoadIdentity(client.Identity)
	if err != nil {
		t.Fatal(err)
	}
	if len(egress.Clients) != 1 || upstream.PublicKey(egress.Clients[0].Key) != clientID.Public() {
		t.Errorf("egress.yaml knows %v, the client is %v", egress.Clients, clientID)
	}
	if upstream.PublicKey(client.Egress.Key) != egressID.Public() || !slices.Equal(client.Egress.Address, address) {
		t.Errorf("client.yaml: %+v, want the egress's key and addresses", client.Egress)
	}
	for _, file := range []string{egress.Identity, client.Identity} {
		if st, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want mode 0600", file, st.Mode(), err)
		}
	}
}

// joinClient joins from standard input and returns the configuration written.
func joinClient(t *testing.T, link string) *configs.Client {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "client")
	if got := mpsocks(t, link+"\n", "join", "-", "--dir", dir); got.code != exitOK || got.out != "" {
		t.Fatalf("join = %+v", got)
	}
	c, err := configs.LoadClient(filepath.Join(dir, "client.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestInitAddsClients(t *testing.T) {
	dir := t.TempDir()
	initEgress(t, dir, "--address", "a.example:8443")
	key := read(t, dir, "egress.key")
	file := write(t, dir, "egress.yaml", read(t, dir, "egress.yaml")+"\n# mine\n")

	second, err := configs.ParseLink(initEgress(t, dir, "--client", "phone"))
	if err != nil || second.Client != "phone" || !slices.Equal(second.Egress, []string{"a.example:8443"}) {
		t.Errorf("link of the second client = %v, %v, %v", second, second.Egress, err)
	}
	third, err := configs.ParseLink(initEgress(t, dir, "--client", "tablet", "--address", "b.example:1"))
	if err != nil || !slices.Equal(third.Egress, []string{"b.example:1"}) {
		t.Errorf("link of the third client = %v, %v", third.Egress, err)
	}
	e, err := configs.LoadEgress(file)
	if err != nil || len(e.Clients) != 3 || e.Clients[2].Name != "tablet" {
		t.Errorf("clients = %v, %v, want three", e, err)
	}
	if read(t, dir, "egress.key") != key || !strings.Contains(read(t, dir, "egress.yaml"), "# mine") {
		t.Error("adding a client changed the key, or lost a comment")
	}
	if got := mpsocks(t, "", "init", "--dir", dir, "--client", "phone"); got.code == exitOK || got.out != "" || !strings.Contains(got.err, "already has a client named phone") {
		t.Errorf("init for a client that is there = %+v, want a refusal", got)
	}
	if got := mpsocks(t, "", "init", "--dir", dir, "--client", "x", "--listen", ":1"); got.code != exitUsage {
		t.Errorf("init --client --listen on an egress that is there = %+v, want a refusal", got)
	}
}

func TestInitNeverOverwritesUnasked(t *testing.T) {
	dir := t.TempDir()
	initEgress(t, dir, "--address", "a.example:8443")
	key, file := read(t, dir, "egress.key"), read(t, dir, "egress.yaml")
	got := mpsocks(t, "", "init", "--dir", dir, "--address", "a.example:8443")
	if got.code != exitFailure || got.out != "" || !strings.Contains(got.err, "--force") {
		t.Errorf("init again = %+v, want a refusal that names --force", got)
	}
	if read(t, dir, "egress.key") != key || read(t, dir, "egress.yaml") != file {
		t.Error("init again changed what was there")
	}
	initEgress(t, dir, "--address", "a.example:8443", "--force")
	if read(t, dir, "egress.key") == key || read(t, dir, "egress.yaml") == file {
		t.Error("init --force kept the key or the file")
	}
	if names, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(names) != 2 {
		t.Errorf("%q in the folder, %v, want the key and the file", names, err)
	}
}

func TestInitRefuses(t *testing.T) {
	for _, args := range [][]string{
		{"--address", "a.example"},
		{"--address", "a.example:0"},
		{"--address", "a.example:1", "--listen", "8443"},
		{"--address", "a.example:1", "--client", "two words"},
		{},
	} {
		dir := filepath.Join(t.TempDir(), "d")
		got := mpsocks(t, "", append([]string{"init", "--dir", dir}, args...)...)
		if _, err := os.Stat(dir); got.code != exitUsage || err == nil {
			t.Errorf("init %q = %+v, folder made: %v; want code 2 and nothing made", args, got, err == nil)
		}
	}
}

func TestJoinRefuses(t *testing.T) {
	dir := t.TempDir()
	link := initEgress(t, filepath.Join(dir, "egress"), "--address", "a.example:8443")
	client := filepath.Join(dir, "client")
	if got := mpsocks(t, "", "join", link[:len(link)-5], "--dir", client); got.code != exitUsage || !strings.Contains(got.err, "cut off") {
		t.Errorf("join with a part of the link = %+v, want code 2", got)
	}
	if got := mpsocks(t, "", "join", link, "--dir", client); got.code != exitOK {
		t.Fatalf("join = %+v", got)
	}
	key := read(t, client, "client.key")
	other := initEgress(t, filepath.Join(dir, "other"), "--address", "b.example:8443")
	if got := mpsocks(t, "", "join", other, "--dir", client); got.code != exitFailure || !strings.Contains(got.err, "--force") || read(t, client, "client.key") != key {
		t.Errorf("join again = %+v, want a refusal that names --force", got)
	}
	if got := mpsocks(t, "", "join", other, "--dir", client, "--force"); got.code != exitOK || read(t, client, "client.key") == key {
		t.Errorf("join --force = %+v, want a new key", got)
	}
}

// A client without a link makes his own key, and the egress takes it; what both wrote can be started.
func TestJoinWithoutLink(t *testing.T) {
	egress, client := t.TempDir(), filepath.Join(t.TempDir(), "client")
	initEgress(t, egress, "--address", "a.example:8443")
	got := mpsocks(t, "", "join", "--address", "a.example:8443,b.example:443", "--dir", client)
	key := strings.TrimSpace(got.out)
	if _, err := upstream.ParsePublicKey(key); got.code != exitOK || err != nil || strings.Count(got.out, "\n") != 1 || !strings.Contains(got.err, "--key "+key) {
		t.Fatalf("join --address = %+v, %v; want a public key alone, and what to do with it", got, err)
	}
	c, err := configs.LoadClient(filepath.Join(client, "client.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Egress.Address, []string{"a.example:8443", "b.example:443"}) || c.Egress.Verify != configs.VerifySecondPath || filepath.Base(c.Egress.Pin) != "egress.pin" {
		t.Errorf("client.yaml: %+v", c.Egress)
	}
	if id, err := upstream.LoadIdentity(c.Identity); err != nil || id.Public().String() != key {
		t.Errorf("the key printed is not that of the file: %v, %v", id, err)
	}
	if got := mpsocks(t, "", "init", "--dir", egress, "--client", "phone", "--key", key); got.code != exitOK || got.out != "" {
		t.Errorf("init --key = %+v, want no link", got)
	}
	e, err := configs.LoadEgress(filepath.Join(egress, "egress.yaml"))
	if err != nil || len(e.Clients) != 2 || e.Clients[1].Name != "phone" || e.Clients[1].Key.String() != key {
		t.Errorf("clients = %v, %v", e.Clients, err)
	}
	// The first client of an egress, too, may have a key of his own.
	first := t.TempDir()
	if got := mpsocks(t, "", "init", "--dir", first, "--address", "a.example:8443", "--client", "phone", "--key", key); got.code != exitOK || got.out != "" {
		t.Errorf("init of a new egress with --key = %+v", got)
	}
	for want, args := range map[string][]string{
		"already there":   {"join", "--address", "a.example:1", "--dir", client},
		"take out":        {"join", "mpsocks://x", "--address", "a.example:1", "--dir", client},
		"--address: ":     {"join", "--address", "a.example", "--dir", t.TempDir()},
		"43 characters":   {"init", "--dir", egress, "--client", "tablet", "--key", key[1:]},
		"--client NAME":   {"init", "--dir", egress, "--key", key},
		"named phone; re": {"init", "--dir", egress, "--client", "phone", "--key", key},
	} {
		if got := mpsocks(t, "", args...); got.code == exitOK || got.out != "" || !strings.Contains(got.err, want) {
			t.Errorf("%q = %+v, want a refusal with %q", args, got, want)
		}
	}
	if got := mpsocks(t, "", "join", "--address", "a.example:1", "--dir", client, "--force"); got.code != exitOK || strings.TrimSpace(got.out) == key {
		t.Errorf("join --force = %+v, want another key", got)
	}
}

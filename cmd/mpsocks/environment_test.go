package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mpsocks/mpsocks/configs"
)

// withEnviron runs a command line that ends by itself, in an environment.
func withEnviron(t *testing.T, environ []string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, env{in: strings.NewReader(""), out: &out, err: &errs, desktop: noDesktop, environ: environ})
	return result{code, out.String(), errs.String()}
}

// launchIn is launch in an environment.
func launchIn(t *testing.T, environ []string, args ...string) *daemon {
	t.Helper()
	d := &daemon{signals: make(chan os.Signal, 2), out: newWatched(), err: newWatched(), desktop: noDesktop, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		d.code = run(context.Background(), args, env{in: strings.NewReader(""), out: d.out, err: d.err, signals: d.signals, desktop: noDesktop, environ: environ})
		d.out.end()
		d.err.end()
	}()
	t.Cleanup(func() { d.stop() })
	return d
}

// Both sides start from the environment alone, carry a request, and are found by
// `status` in the same environment.
func TestEnvironmentStart(t *testing.T) {
	body := pattern(100_000)
	target := webTarget(t, body)
	clientFile, egressFile := pairOfFiles(t, "127.0.0.1:1")
	client, err := configs.LoadClient(clientFile)
	if err != nil {
		t.Fatal(err)
	}
	egress, err := configs.LoadEgress(egressFile)
	if err != nil {
		t.Fatal(err)
	}
	side := launchIn(t, []string{
		"MPSOCKS_LISTEN=127.0.0.1:0", "MPSOCKS_IDENTITY=" + egress.Identity, "MPSOCKS_ADMIN_LISTEN=off", "MPSOCKS_TARGETS_ALLOW=[127.0.0.0/8]",
		fmt.Sprintf("MPSOCKS_CLIENTS=[{name: laptop, key: %s, limits: {streams: 100}}]", egress.Clients[0].Key),
	}, "egress")
	address := words(side.err.line(t, "ready"))["listen"]
	environ := []string{
		"MPSOCKS_SOCKS_LISTEN=127.0.0.1:0", "MPSOCKS_EGRESS_ADDRESS=[" + address + "]", "MPSOCKS_EGRESS_KEY=" + client.Egress.Key.String(),
		"MPSOCKS_IDENTITY=" + client.Identity, "MPSOCKS_ADMIN_LISTEN=127.0.0.1:0", "MPSOCKS_PATHS=[{source: 127.0.0.1}, {source: 127.0.0.2, role: backup}]",
	}
	ready := words(launchIn(t, environ, "client").err.line(t, "ready"))
	fetch(t, throughSocks(t, nil, ready["socks"]), target.URL, body)
	asked := withEnviron(t, []string{"MPSOCKS_ADMIN_LISTEN=" + ready["admin"]}, "paths")
	if asked.code != exitOK || !strings.Contains(asked.out, "127.0.0.2") {
		t.Errorf("paths = %+v", asked)
	}
	check := withEnviron(t, environ, "check")
	if check.code != exitOK || check.out != "environment: ok: client, transport mptcp, 2 paths\n" {
		t.Errorf("check = %+v", check)
	}
}

func TestEnvironmentMistakes(t *testing.T) {
	client, _ := pairOfFiles(t, "127.0.0.1:8443")
	got := withEnviron(t, []string{"MPSOCKS_SOCKS_LISTENS=127.0.0.1:0"}, "client", "-c", client)
	if want := "MPSOCKS_SOCKS_LISTENS: is not a known variable; did you mean \"MPSOCKS_SOCKS_LISTEN\"?\n"; got.code != exitUsage || got.err != want {
		t.Errorf("client = %+v, want %s", got, want)
	}
	got = withEnviron(t, []string{"MPSOCKS_IDENTITY=" + filepath.Join(t.TempDir(), "none.key")}, "check", "-c", client)
	if got.code != exitUsage || !strings.HasPrefix(got.err, "MPSOCKS_IDENTITY: identity: ") {
		t.Errorf("check = %+v, want the variable named", got)
	}
}

func TestEnvironmentTopic(t *testing.T) {
	got := mpsocks(t, "", "help", "environment")
	for _, v := range configs.Variables() {
		if !strings.Contains(got.out, v.Name+" ") {
			t.Errorf("help environment does not name %s", v.Name)
		}
	}
}

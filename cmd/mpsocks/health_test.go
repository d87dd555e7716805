package main

import (
	"strings"
	"testing"
)

func TestHealthOfAnEgress(t *testing.T) {
	dir := t.TempDir()
	if r := mpsocks(t, "", "init", "--dir", dir, "--address", "127.0.0.1:8443", "--listen", "127.0.0.1:0"); r.code != exitOK {
		t.Fatalf("init: %s", r.err)
	}
	write(t, dir, "egress.yaml", read(t, dir, "egress.yaml")+"\nadmin: {listen: 127.0.0.1:0}\n")
	d := launch(t, "egress", "-c", dir+"/egress.yaml")
	addr := words(d.err.line(t, "ready"))["admin"]
	if r := mpsocks(t, "", "health", "--admin", addr); r.code != exitOK || r.out != "ok: egress listening\n" {
		t.Errorf("health = %+v, want ok", r)
	}
	d.stop()
	if r := mpsocks(t, "", "health", "--admin", addr); r.code != exitFailure || !strings.Contains(r.err, "nothing answers at "+addr) {
		t.Errorf("health of nothing = %+v, want a failure that says where it asked", r)
	}
}

func TestHealth(t *testing.T) {
	for _, tc := range []struct{ role, state, reason, want string }{
		{"client", "up", "", ""},
		{"client", "connecting", "", "client is connecting, not up"},
		{"client", "down", "no answer", "client is down, not up: no answer"},
		{"egress", "listening", "", ""},
		{"egress", "draining", "", "egress is draining, not listening"},
		{"egress", "up", "", "egress is up, not listening"},
		{"", "", "", "- is -, not up"},
	} {
		var s statusView
		s.Role, s.Session.State, s.Session.Reason = tc.role, tc.state, tc.reason
		got := ""
		if err := s.health(); err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("health of %s %s = %q, want %q", tc.role, tc.state, got, tc.want)
		}
	}
	s := statusView{Role: "client", Paths: []pathView{{Name: "cable", State: "down", Reason: "connection refused"}}}
	s.Session.State = "lingering"
	want := "client is lingering, not up: path cable is down: connection refused; it goes on trying, `mpsocks paths` shows all of them"
	if err := s.health(); err == nil || err.Error() != want {
		t.Errorf("health of a session without a path: %v, want %s", err, want)
	}
}

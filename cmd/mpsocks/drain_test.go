package main

import (
	"strings"
	"testing"
)

// TestDrainEndsAnIdleEgress: with nobody there it ends at once, and with success.
func TestDrainEndsAnIdleEgress(t *testing.T) {
	dir := t.TempDir()
	if r := mpsocks(t, "", "init", "--dir", dir, "--address", "127.0.0.1:8443", "--listen", "127.0.0.1:0"); r.code != exitOK {
		t.Fatalf("init: %s", r.err)
	}
	text := read(t, dir, "egress.yaml")
	write(t, dir, "egress.yaml", text+"\nadmin: {listen: 127.0.0.1:0}\n")
	d := launch(t, "egress", "-c", dir+"/egress.yaml")
	at := words(d.err.line(t, "ready"))["admin"]
	write(t, dir, "egress.yaml", text+"\nadmin: {listen: \""+at+"\"}\n") // where the port turned out to be
	if r := mpsocks(t, "", "drain", "-c", dir+"/egress.yaml"); r.code != exitOK {
		t.Fatalf("drain: %+v", r)
	}
	if code := d.wait(); code != exitOK {
		t.Errorf("the egress ended with %d, want %d; it wrote:\n%s", code, exitOK, d.err)
	}
	if r := mpsocks(t, "", "drain", "-c", dir+"/egress.yaml"); r.code != exitFailure || !strings.Contains(r.err, "is the egress running?") {
		t.Errorf("drain of nothing: %+v", r)
	}
}

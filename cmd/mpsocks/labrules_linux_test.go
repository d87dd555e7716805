package main

import (
	"fmt"
	"net"
	"testing"

	"github.com/mpsocks/mpsocks/internal/units"
)

// testLabRules has two paths, and rules about them that a running client is given.
func testLabRules(t *testing.T) {
	t.Parallel()
	b := newBed(t, bedConfig{paths: []string{"20M/30ms", "20M/30ms"}})
	t.Run("one path", b.testOnePath)
	t.Run("end", b.testEnd)
}

// testOnePath ties what goes to the target to one path: both ways nothing of it takes the other one, and nobody is told otherwise when that path is gone.
func (b *bed) testOnePath(t *testing.T) {
	const size = 4 << 20
	name := b.lab.Path(1).Name()
	edit(t, b.file("client", clientFile), "\npaths:\n", fmt.Sprintf("\nrules:\n  - {match: [%s], action: tunnel, paths: [%s]}\npaths:\n", labServer, name))
	runProgram(t, b.lab.Client(), "reload", "-c", b.file("client", clientFile))
	before := b.status(t)
	if err := b.download(t, b.socks, size).ended(t); err != nil {
		t.Fatalf("download: %v", err)
	}
	if err := b.upload(t, b.connect, size).ended(t); err != nil {
		t.Fatalf("upload: %v", err)
	}
	after := b.status(t)
	for i, p := range after.Paths {
		rx, tx := p.RX-before.Paths[i].RX, p.TX-before.Paths[i].TX
		t.Logf("%s: received %s, sent %s", p.Name, units.Size(rx), units.Size(tx))
		switch {
		case p.Name == name && (rx < size || tx < size):
			t.Errorf("%s carried %d and %d bytes, want all of %d each way", p.Name, rx, tx, size)
		case p.Name != name && (rx > size/20 || tx > size/20):
			t.Errorf("%s carried %d and %d bytes of connections that are not for it", p.Name, rx, tx)
		}
	}
	b.do(t, "down 1")
	eventually(t, name+" not up", func() bool { return b.pathStatus(t, 1).State != "up" })
	if code, err := b.reply(labSocks, net.JoinHostPort(labServer, "80")); err != nil || code != 3 {
		t.Errorf("a new connection while its path is cut: reply %d, %v, want 3", code, err)
	}
	b.do(t, "up 1")
	b.allUp(t)
	if err := b.download(t, b.socks, size).ended(t); err != nil {
		t.Fatalf("download with the path back: %v", err)
	}
}

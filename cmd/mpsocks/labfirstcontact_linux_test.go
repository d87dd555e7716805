package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/upstream"
)

// testLabFirstContact has a client without a link, and on one of its paths somebody who plays the egress: another program with keys of its own, to which a
// router leads what is sent to the egress.
func testLabFirstContact(t *testing.T) {
	if testing.Short() {
		t.Skip("-short runs equal paths only")
	}
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("no nft (Debian: nftables)")
	}
	t.Parallel()
	b := &bed{owner: t, lab: newLab(t, []string{"20M/30ms", "20M/30ms"}), dir: t.TempDir(), slow: patience}
	b.target = newLabTarget(t, b.lab.Server())
	b.egressStart = fakeResolver(t, b)
	key := strings.TrimSpace(runProgram(t, b.lab.Client(), "join", "--address", labEgress, "--dir", b.file("client")))
	edit(t, b.file("client", clientFile), "paths: auto", b.paths(false))
	for _, dir := range []string{"egress", "middleman"} {
		runProgram(t, b.lab.Server(), "init", "--dir", b.file(dir), "--address", labEgress, "--client", "laptop", "--key", key)
		edit(t, b.file(dir, egressFile), "#targets:", "targets: {allow: [10.0.0.0/8]}\n#targets:")
	}
	edit(t, b.file("middleman", egressFile), `":8443"`, `":9443"`)
	edit(t, b.file("middleman", egressFile), "#admin:", "admin: {listen: off}\n#admin:")
	b.startEgress(t)
	middleman := startProgram(t, b.owner, b.lab.Server(), b.egressStart, "egress", "-c", b.file("middleman", egressFile))
	middleman.line(t, " ready ")
	for i, path := range b.lab.Paths() {
		t.Run("somebody on "+path.Name(), func(t *testing.T) { b.testMiddleman(t, i, middleman) })
	}
	t.Run("end", b.testEnd)
}

// testMiddleman starts a client that has never met its egress, with somebody on path i, who then leaves.
func (b *bed) testMiddleman(t *testing.T, i int, middleman *program) {
	pin := b.file("client", "egress.pin")
	if b.client != nil {
		b.client.signal(t, os.Interrupt)
		b.client.ended(t)
		if err := os.Remove(pin); err != nil {
			t.Fatal(err)
		}
	}
	nft(t, b.lab.Server(), fmt.Sprintf(`table ip between {
		chain in { type nat hook prerouting priority dstnat; iifname %q tcp dport 8443 redirect to :9443; }
	}`, b.name(i)))
	sessions := middleman.lines("session established")
	b.client = startProgram(t, b.owner, b.lab.Client(), nil, "client", "-c", b.file("client", clientFile))
	line := b.client.line(t, "no first contact")
	for _, want := range []string{"paths lead to different egresses", "nothing is pinned", b.name(0), b.name(1)} {
		if !strings.Contains(line, want) {
			t.Errorf("the log says %q, want %q in it", line, want)
		}
	}
	if code, err := b.reply(labSocks, labTarget); code == 0 && err == nil {
		t.Error("a program is connected although nobody knows to whom")
	}
	if _, err := os.Stat(pin); err == nil {
		t.Error("a key is pinned")
	}
	if n := middleman.lines("session established") - sessions; n > 0 {
		t.Errorf("%d sessions with the middleman", n)
	}
	nft(t, b.lab.Server(), "delete table ip between")
	took := b.allUp(t)
	if got, want := read(t, b.file("client"), "egress.pin"), b.publicKey(t); !strings.Contains(got, want) {
		t.Errorf("the pinned key is %q, want the egress's, %s", got, want)
	}
	t.Logf("pinned and connected %v after the middleman has gone", took.Round(time.Millisecond))
	x := b.download(t, b.socks, warm)
	if err := x.ended(t); err != nil {
		t.Error(err)
	}
}

// publicKey is the egress's.
func (b *bed) publicKey(t *testing.T) string {
	t.Helper()
	id, err := upstream.LoadIdentity(b.file("egress", egressKey))
	if err != nil {
		t.Fatal(err)
	}
	return id.Public().String()
}

package main

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/bench/lab"
)

// testLabNAT has what stands between a client and its egress in hotels and at carriers.
func testLabNAT(t *testing.T) {
	if testing.Short() {
		t.Skip("-short runs equal paths only")
	}
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("no nft (Debian: nftables)")
	}
	t.Parallel()
	b := newBed(t, bedConfig{paths: []string{"20M/30ms", "20M/30ms"}})
	t.Run("portal", b.testPortal)
	t.Run("rebinding", b.testRebinding)
	t.Run("end", b.testEnd)
}

// nft gives a namespace rules.
func nft(t *testing.T, n *lab.Namespace, rules string) {
	t.Helper()
	c := n.Command(t.Context(), "nft", "-f", "-")
	c.Stdin = strings.NewReader(rules)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v: %s\n%s", err, out, rules)
	}
}

// testPortal has a captive portal answer in the egress's place on one path: it takes every
// connection, which makes that path no good, until the portal lets people through.
func (b *bed) testPortal(t *testing.T) {
	ln, err := b.lab.Server().Listen("tcp", "0.0.0.0:9443")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { servePortal(ln) })
	defer wg.Wait()
	defer ln.Close()
	b.allUp(t)
	x := b.startTraffic(t)
	nft(t, b.lab.Server(), fmt.Sprintf(`table ip portal {
		chain in { type nat hook prerouting priority dstnat; iifname %q tcp dport 8443 redirect to :9443; }
	}`, b.name(1)))
	took := eventually(t, "the path is down", func() bool {
		p := b.pathStatus(t, 1)
		if p.State == "up" { // a reset that octets under way have overtaken is ignored (RFC 5961)
			b.do(t, "reset 1")
		}
		return strings.Contains(p.Reason, "handshake with")
	})
	p := b.pathStatus(t, 1)
	t.Logf("%s is %s (%s) after %v", p.Name, p.State, p.Reason, round(took))
	ups := 0
	for start := time.Now(); time.Since(start) < 3*time.Second; lasts(50 * time.Millisecond) {
		if b.pathStatus(t, 1).State == "up" {
			ups++
		}
	}
	if ups > 0 {
		t.Errorf("%s was up %d times behind a portal", p.Name, ups)
	}
	x.moves(t, warm)
	nft(t, b.lab.Server(), "delete table ip portal")
	b.returns(t, 1)
	x.finish(t)
}

// servePortal sends everybody elsewhere, whatever they say.
func servePortal(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		_ = c.SetDeadline(time.Now().Add(time.Second))
		_, _ = c.Read(make([]byte, 4096))
		_, _ = c.Write([]byte("HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\nContent-Length: 0\r\n\r\n"))
		_ = c.Close()
	}
}

// testRebinding has a NAT on one path that forgets its mappings: what goes on comes from
// another address, at which the egress knows no connection.
func (b *bed) testRebinding(t *testing.T) {
	own := b.lab.Path(1).ClientAddr()
	outside := func(last int) string {
		a := own.As4()
		return fmt.Sprintf("%d.%d.%d.%d", a[0], a[1], a[2], last)
	}
	table := func(last int) string {
		return fmt.Sprintf(`table ip outside {
			chain out { type filter hook postrouting priority 0; ip saddr %[1]s ip daddr 10.99.0.1 ip saddr set %[2]s; }
			chain in { type filter hook prerouting priority -400; ip saddr 10.99.0.1 ip daddr %[2]s ip daddr set %[1]s; }
		}`, own, outside(last))
	}
	x := b.startTraffic(t)
	nft(t, b.lab.Client(), table(70))
	for _, last := range []int{71, 72} {
		b.returns(t, 1)
		x.down.at.start()
		x.up.at.start()
		nft(t, b.lab.Client(), "delete table ip outside\n"+table(last))
		took := eventually(t, "a connection from the new address", func() bool { return b.egress.lines("subflow joined", outside(last)+":") > 0 })
		t.Logf("joined from %s after %v; longest stall: download %v, upload %v", outside(last), round(took), round(x.down.at.stall()), round(x.up.at.stall()))
	}
	b.returns(t, 1)
	x.finish(t)
	nft(t, b.lab.Client(), "delete table ip outside")
	b.allUp(t)
}

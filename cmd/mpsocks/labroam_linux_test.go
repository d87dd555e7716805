package main

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/internal/units"
)

// change runs a verb of `mpsocks paths` on the client's side.
func (b *bed) change(t *testing.T, words string) {
	t.Helper()
	runProgram(t, b.lab.Client(), append(append([]string{"paths"}, strings.Fields(words)...), "-c", b.file("client", clientFile))...)
}

// name is what path i is called.
func (b *bed) name(i int) string { return b.lab.Path(i).Name() }

// carried is how many octets of packets path i has brought down, and taken up.
func (b *bed) carried(i int) (down, up uint64) {
	s := b.lab.Path(i).Stats()
	return s.Down.OutBytes, s.Up.OutBytes
}

// testRateLimit limits a path while it is full both ways.
func (b *bed) testRateLimit(t *testing.T) {
	const limit, span = 5e6, 5 * time.Second
	b.change(t, "set "+b.name(1)+" rate_limit=5Mbit/s")
	x := b.startTraffic(t)
	down, up := b.carried(1)
	start := time.Now()
	lasts(span)
	down2, up2 := b.carried(1)
	s := time.Since(start).Seconds()
	p := b.pathStatus(t, 1)
	for way, n := range map[string]uint64{"down": down2 - down, "up": up2 - up} {
		rate := float64(n) * 8 / s
		t.Logf("%s: %.3f Mbit/s, the limit is 5; the path is %s (%s)", way, rate/1e6, p.State, p.Reason)
		if rate > 1.03*limit {
			t.Errorf("%s: %.0f bit/s on a path that is limited to %.0f", way, rate, limit)
		}
	}
	b.change(t, "set "+b.name(1)+" rate_limit=off")
	x.moves(t, 4*warm)
	x.finish(t)
}

// testOverflow has a stream that the primary path carries, and then one that takes
// all there is.
func (b *bed) testOverflow(t *testing.T) {
	b.change(t, "set "+b.name(1)+" role=secondary")
	b.do(t, "rate 0 20M")
	b.quiet(t)
	c, err := b.socks(t.Context(), "tcp", labTarget)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "GET /?id=paced&every=43ms HTTP/1.1\r\nHost: %s\r\n\r\n", labServer); err != nil { // 3 Mbit/s
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, c) }() // until the connection is closed
	lasts(time.Second)
	first, _ := b.carried(0)
	second, _ := b.carried(1)
	lasts(4 * time.Second)
	first2, _ := b.carried(0)
	second2, _ := b.carried(1)
	t.Logf("a stream of 3 Mbit/s: %s by the primary path, %s by the secondary", units.Size(first2-first), units.Size(second2-second))
	if more := second2 - second; more > (first2-first)/20 {
		t.Errorf("%d octets by the secondary path, %d by the primary", more, first2-first)
	}
	x := b.download(t, b.socks, 0)
	x.moves(t, 1)
	took := b.reachesRate(t, 1, 16e6)
	before, _ := b.carried(1)
	lasts(time.Second)
	after, _ := b.carried(1)
	t.Logf("an endless download: the secondary path carries 16 Mbit/s %v after the first octet, and %.1f Mbit/s in the second after that", round(took), float64(after-before)*8/1e6)
	x.moves(t, warm)
	x.finish(t)
	b.change(t, "set "+b.name(1)+" role=primary")
}

// reachesRate waits until path i carries so many bit/s down, for a fifth of a second, and returns when that fifth began.
func (b *bed) reachesRate(t *testing.T, i int, rate float64) time.Duration {
	t.Helper()
	const span, look = 200 * time.Millisecond, 20 * time.Millisecond
	type sample struct {
		at time.Duration
		n  uint64
	}
	var seen []sample
	start := time.Now()
	var since time.Duration
	eventually(t, fmt.Sprintf("%s carries %.0f bit/s", b.name(i), rate), func() bool {
		n, _ := b.carried(i)
		seen = append(seen, sample{time.Since(start), n})
		first := seen[max(0, len(seen)-1-int(span/look))]
		now := seen[len(seen)-1]
		since = first.at
		return now.at-first.at >= span*9/10 && float64(now.n-first.n)*8/(now.at-first.at).Seconds() >= rate
	})
	return since
}

// testWalk takes the one path away, has nothing for 3 s, and then another path with an
// address that nobody has seen.
func (b *bed) testWalk(t *testing.T) {
	if err := b.lab.Path(1).IfDown(); err != nil {
		t.Fatal(err)
	}
	session := b.status(t).Session.ID
	x := b.download(t, b.socks, 60<<20)
	x.moves(t, warm)
	if err := b.lab.Path(0).IfDown(); err != nil {
		t.Fatal(err)
	}
	lasts(3 * time.Second)
	if err := b.lab.Path(1).IfUp(); err != nil {
		t.Fatal(err)
	}
	if err := b.lab.Path(1).SetAddr(netip.MustParseAddr("10.2.1.99")); err != nil {
		t.Fatal(err)
	}
	start, n := time.Now(), x.at.count()
	took := eventually(t, "download goes on", func() bool { return x.at.count() > n })
	t.Logf("goes on %v after the new path, %v after its beginning", round(took), round(time.Since(x.started)))
	if err := b.lab.Path(0).IfUp(); err != nil {
		t.Fatal(err)
	}
	x.finish(t)
	t.Logf("60 MiB arrived %v later", round(time.Since(start)))
	if id := b.status(t).Session.ID; id != session {
		t.Errorf("session %s has become %s", session, id)
	}
	b.allUp(t)
}

// testFlaps loses a path ten times for half a second.
func (b *bed) testFlaps(t *testing.T) {
	x := b.startTraffic(t)
	for range 10 {
		b.do(t, "down 0")
		lasts(500 * time.Millisecond)
		b.do(t, "up 0")
		lasts(500 * time.Millisecond)
	}
	b.returns(t, 0)
	x.finish(t) // tells the longest stalls
}

// testOutages loses everything for 5 s, and for 30 s.
func (b *bed) testOutages(t *testing.T) {
	for _, outage := range []time.Duration{5 * time.Second, 30 * time.Second} {
		x := b.startTraffic(t)
		b.do(t, "down all")
		lasts(outage)
		b.do(t, "up all")
		down, up := x.down.at.count(), x.up.at.count()
		took := eventually(t, "data down", func() bool { return x.down.at.count() > down })
		both := took + eventually(t, "data up", func() bool { return x.up.at.count() > up })
		t.Logf("outage of %v: downloads go on %v after its end, both ways %v", outage, round(took), round(both))
		b.returns(t, 0)
		b.returns(t, 1)
		x.finish(t)
	}
}

// testRewritten rewrites every packet of a path that it can, checksums and all.
func (b *bed) testRewritten(t *testing.T) {
	bad := func() uint64 { s := b.lab.Path(1).Stats(); return s.Up.Corrupted + s.Down.Corrupted }
	before := bad()
	x := b.download(t, b.socks, 20<<20)
	x.moves(t, warm)
	b.do(t, "corrupt 1 100%")
	eventually(t, "quarantine", func() bool { return b.pathStatus(t, 1).State == "quarantine" })
	p := b.pathStatus(t, 1)
	t.Logf("%s is %s (%s)", p.Name, p.State, p.Reason)
	if !strings.Contains(p.Reason, "altered") {
		t.Errorf("the reason is %q", p.Reason)
	}
	x.finish(t)
	t.Logf("20 MiB arrived as they were sent, %d packets were rewritten", bad()-before)
	b.do(t, "corrupt 1 0")
	b.change(t, "disable "+b.name(1))
	b.change(t, "enable "+b.name(1))
	b.allUp(t)
}

// testRestart kills the egress and starts it again 3 s later.
func (b *bed) testRestart(t *testing.T) {
	x := b.download(t, b.socks, 0)
	x.moves(t, warm)
	b.egress.signal(t, syscall.SIGKILL)
	start := time.Now()
	b.egress.ended(t)
	lasts(3 * time.Second)
	b.startEgress(t)
	back := time.Now()
	if err := x.ended(t); err == nil {
		t.Error("a download ended well although the egress had died")
	}
	t.Logf("programs are told %v after the egress's death", round(x.started.Add(x.took).Sub(start)))
	eventually(t, "new connections", b.reaches)
	t.Logf("new connections %v after the egress is back", round(time.Since(back)))
	b.allUp(t)
}

// testCap gives a path a cap of 20 MB.
func (b *bed) testCap(t *testing.T) {
	b.client.signal(t, syscall.SIGTERM)
	b.client.ended(t)
	edit(t, b.file("client", clientFile), "name: "+b.name(1)+",", "name: "+b.name(1)+", cap: 20MB,")
	b.startClient(t)
	down, up := b.carried(1)
	x := b.startTraffic(t)
	eventually(t, "the cap", func() bool { return b.pathStatus(t, 1).Role == "backup" })
	x.moves(t, warm)
	lasts(time.Second)
	down2, up2 := b.carried(1)
	n := down2 - down + up2 - up
	t.Logf("%s when the cap of 20 MB was reached", units.Size(n))
	if n < 20e6*0.97 || n > 20e6*1.03 {
		t.Errorf("%d octets on a path with a cap of 20 MB", n)
	}
	x.finish(t)
	b.client.signal(t, syscall.SIGTERM)
	b.client.ended(t)
	b.startClient(t)
	if p := b.pathStatus(t, 1); p.Role != "backup" {
		t.Errorf("after a restart the path is a %s", p.Role)
	}
}

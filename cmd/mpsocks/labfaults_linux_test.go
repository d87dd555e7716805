package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/internal/units"
)

// warm is what has to have gone through before something goes wrong.
const warm = 1 << 20

// traffic is a download and an upload that go on while things go wrong.
type traffic struct {
	b        *bed
	down, up *transfer
	session  string // its ID
}

// startTraffic waits until both ways are in full swing.
func (b *bed) startTraffic(t *testing.T) *traffic {
	t.Helper()
	x := &traffic{b: b, session: b.status(t).Session.ID, down: b.download(t, b.socks, 0), up: b.upload(t, b.connect, 0)}
	x.moves(t, warm)
	x.down.at.start()
	x.up.at.start()
	return x
}

// moves waits until n more bytes have gone each way.
func (x *traffic) moves(t *testing.T, n int64) {
	t.Helper()
	x.down.moves(t, n)
	x.up.moves(t, n)
}

// finish checks every byte, and that all went through one session.
func (x *traffic) finish(t *testing.T) {
	t.Helper()
	t.Logf("longest stall: download %v, upload %v", round(x.down.at.stall()), round(x.up.at.stall()))
	start, down, up := time.Now(), x.down.at.count(), x.up.at.count()
	x.up.enough()
	x.down.finish(t)
	x.up.finish(t)
	t.Logf("%s and %s that were under way arrived in %v", units.Size(uint64(x.down.at.count()-down)),
		units.Size(uint64(x.up.at.count()-up)), round(time.Since(start)))
	if id := x.b.status(t).Session.ID; id != x.session {
		t.Errorf("session %s has become %s", x.session, id)
	}
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// returns waits until path i is up and carries data both ways.
func (b *bed) returns(t *testing.T, i int) {
	t.Helper()
	const part = 256 << 10
	before, start, seconds := b.pathStatus(t, i), time.Now(), 0
	took := eventually(t, before.Name+" carries data again", func() bool {
		s := b.status(t)
		p := s.path(before.Name)
		if n := int(time.Since(start).Seconds()); n > seconds {
			seconds = n
			t.Logf("after %v: %+v", round(time.Since(start)), s.Paths)
		}
		return p.State == "up" && p.RX > before.RX+part && p.TX > before.TX+part
	})
	t.Logf("%s was %s (%s); %s more each way after %v", before.Name, before.State, before.Reason, units.Size(part), round(took))
}

// do carries out a command of the lab.
func (b *bed) do(t *testing.T, command string) {
	t.Helper()
	if _, err := b.lab.Run(command); err != nil {
		t.Fatalf("%s: %v", command, err)
	}
}

// testBlackhole loses one path without a word.
func (b *bed) testBlackhole(t *testing.T) {
	x := b.startTraffic(t)
	b.do(t, "down 0")
	x.moves(t, warm)
	lasts(3 * time.Second)
	if p := b.pathStatus(t, 0); p.State == "up" {
		t.Errorf("a dead path is %s (%s)", p.State, p.Reason)
	}
	b.do(t, "up 0")
	b.returns(t, 0)
	x.finish(t)
}

// testOneWay loses one path in one direction, then in the other.
func (b *bed) testOneWay(t *testing.T) {
	x := b.startTraffic(t)
	for _, way := range []string{"up", "down"} {
		x.down.at.start()
		x.up.at.start()
		b.do(t, "down 1 "+way)
		x.moves(t, warm)
		lasts(time.Second)
		x.moves(t, warm)
		p := b.pathStatus(t, 1)
		t.Logf("without its way %s, %s is %s (%s); longest stall: download %v, upload %v",
			way, p.Name, p.State, p.Reason, round(x.down.at.stall()), round(x.up.at.stall()))
		b.do(t, "up 1")
		b.returns(t, 1)
	}
	x.finish(t)
}

// testOutage loses everything for a while.
func (b *bed) testOutage(t *testing.T) {
	const outage = 4 * time.Second
	x := b.startTraffic(t)
	b.do(t, "down all")
	lasts(outage)
	b.do(t, "up all")
	down, up := x.down.at.count(), x.up.at.count()
	took := eventually(t, "data both ways", func() bool { return x.down.at.count() > down && x.up.at.count() > up })
	t.Logf("outage of %v; both ways go on %v after its end", outage, round(took))
	b.returns(t, 0)
	b.returns(t, 1)
	x.finish(t)
}

// testReset breaks the connection of one path.
func (b *bed) testReset(t *testing.T) {
	x := b.startTraffic(t)
	b.do(t, "reset 1")
	b.returns(t, 1)
	b.do(t, "reset all")
	b.returns(t, 0)
	b.returns(t, 1)
	x.finish(t)
}

// testLoss loses some packets of one path.
func (b *bed) testLoss(t *testing.T) {
	x := b.startTraffic(t)
	b.do(t, "loss 1 1%")
	start, down, up := time.Now(), x.down.at.count(), x.up.at.count()
	x.moves(t, 5<<20)
	s := time.Since(start).Seconds()
	t.Logf("with 1 %% loss on a path: down %.1f Mbit/s, up %.1f Mbit/s",
		float64(x.down.at.count()-down)*8/1e6/s, float64(x.up.at.count()-up)*8/1e6/s)
	b.do(t, "loss 1 0")
	x.finish(t)
}

// testCorruption rewrites packets of one path so that TCP does not see it.
func (b *bed) testCorruption(t *testing.T) {
	x := b.startTraffic(t)
	bad := func() uint64 { s := b.lab.Path(1).Stats(); return s.Up.Corrupted + s.Down.Corrupted }
	before := bad()
	b.do(t, "corrupt 1 1%")
	x.moves(t, warm)
	eventually(t, "corruption", func() bool { return bad() >= before+3 })
	p := b.pathStatus(t, 1)
	t.Logf("%d packets rewritten; %s is %s (%s)", bad()-before, p.Name, p.State, p.Reason)
	b.do(t, "corrupt 1 0")
	b.returns(t, 1)
	x.finish(t)
}

// testInterface takes an interface down and up again.
func (b *bed) testInterface(t *testing.T) {
	for i := range b.lab.Paths() {
		x := b.startTraffic(t)
		if err := b.lab.Path(i).IfDown(); err != nil {
			t.Fatal(err)
		}
		name := b.lab.Path(i).Name()
		took := eventually(t, name+" not up", func() bool { return b.pathStatus(t, i).State != "up" })
		p := b.pathStatus(t, i)
		t.Logf("%s known to be %s (%s) after %v", p.Name, p.State, p.Reason, round(took))
		x.moves(t, warm)
		if err := b.lab.Path(i).IfUp(); err != nil {
			t.Fatal(err)
		}
		b.returns(t, i)
		x.finish(t)
	}
}

// testAddress gives an interface another address.
func (b *bed) testAddress(t *testing.T) {
	x := b.startTraffic(t)
	for _, addr := range []string{"10.1.1.77", "10.1.1.1"} {
		if err := b.lab.Path(0).SetAddr(netip.MustParseAddr(addr)); err != nil {
			t.Fatal(err)
		}
		took := eventually(t, "path with its new address", func() bool {
			p := b.pathStatus(t, 0)
			return p.State == "up" && strings.HasPrefix(p.Local, addr+":")
		})
		t.Logf("%s is up with %s after %v", b.lab.Path(0).Name(), addr, round(took))
		b.returns(t, 0)
	}
	x.finish(t)
}

package main

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/bench/lab"
)

// shortSleep is longer than what still counts as a busy machine.
const shortSleep = 7 * time.Second

// testLabSleep stops the client's process for a while, as a machine does that sleeps.
func testLabSleep(t *testing.T) {
	if testing.Short() {
		t.Skip("-short runs equal paths only")
	}
	t.Parallel()
	b := newBed(t, bedConfig{paths: []string{"20M/30ms", "20M/30ms"}})
	t.Run("connections live", func(t *testing.T) { b.testSleep(t, shortSleep, false) })
	t.Run("connections die", func(t *testing.T) { b.testSleep(t, shortSleep, true) })
	t.Run("end", b.testEnd)
}

// TestLongSleep is the same for longer than any time-out of a transport protocol below the session.
func TestLongSleep(t *testing.T) {
	long(t)
	t.Parallel()
	b := newBed(t, bedConfig{paths: []string{"20M/30ms", "20M/30ms"}})
	t.Run("client, connections live", func(t *testing.T) { b.testSleep(t, 65*time.Second, false) })
	t.Run("client, connections die", func(t *testing.T) { b.testSleep(t, 65*time.Second, true) })
	t.Run("egress", func(t *testing.T) { b.testEgressSleeps(t, 65*time.Second) })
	t.Run("end", b.testEnd)
}

// accepted is how many TCP connections a namespace's kernel has let others open.
func accepted(t *testing.T, n *lab.Namespace) int64 {
	t.Helper()
	var text []byte
	if err := n.Do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/snmp")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "Tcp:" {
			continue
		}
		if names == nil {
			names = f
			continue
		}
		for i, name := range names {
			if name == "PassiveOpens" {
				v, err := strconv.ParseInt(f[i], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
		}
	}
	t.Fatal("/proc/net/snmp has no Tcp PassiveOpens")
	return 0
}

// testSleep stops the client amid a download. Its connections live on meanwhile, or nobody on the way knows them any more: what
// has a port of theirs vanishes. In either case the download goes on in the same session, over both paths, and few connections
// are made for it.
func (b *bed) testSleep(t *testing.T, d time.Duration, dies bool) {
	if _, err := exec.LookPath("nft"); dies && err != nil {
		t.Skip("no nft (Debian: nftables)")
	}
	x := b.startTraffic(t)
	var forgotten []string
	for _, p := range b.status(t).Paths {
		forgotten = append(forgotten, strconv.Itoa(int(netip.MustParseAddrPort(p.Local).Port())))
	}
	b.client.signal(t, syscall.SIGSTOP)
	if dies {
		nft(t, b.lab.Client(), fmt.Sprintf(`table ip router {
			chain out { type filter hook output priority 0; tcp sport { %[1]s } drop; }
			chain in { type filter hook input priority 0; tcp dport { %[1]s } drop; }
		}`, strings.Join(forgotten, ", ")))
	}
	lasts(d)
	opens, down, up := accepted(t, b.lab.Server()), x.down.at.count(), x.up.at.count()
	b.client.signal(t, syscall.SIGCONT)
	took := eventually(t, "the download", func() bool { return x.down.at.count() > down+warm })
	both := took + eventually(t, "the upload", func() bool { return x.up.at.count() > up })
	b.returns(t, 0)
	b.returns(t, 1)
	x.finish(t)
	opens = accepted(t, b.lab.Server()) - opens
	t.Logf("after %v a MiB more is down %v after the process goes on, both ways %v; %d connections made for it", d, round(took), round(both), opens)
	if most := int64(4 * len(b.lab.Paths())); opens > most {
		t.Errorf("%d connections after a sleep, want %d at most", opens, most)
	}
	if b.client.lines("awake again") == 0 {
		t.Error("the client has not noticed that it slept")
	}
	if dies {
		nft(t, b.lab.Client(), "delete table ip router")
	}
}

// testEgressSleeps stops the egress. Its kernel takes connections meanwhile, which nobody answers: their number must stay small.
func (b *bed) testEgressSleeps(t *testing.T, d time.Duration) {
	x := b.startTraffic(t)
	opens := accepted(t, b.lab.Server())
	b.egress.signal(t, syscall.SIGSTOP)
	lasts(d)
	asleep := accepted(t, b.lab.Server()) - opens
	down, up := x.down.at.count(), x.up.at.count()
	b.egress.signal(t, syscall.SIGCONT)
	took := eventually(t, "data both ways", func() bool { return x.down.at.count() > down+warm && x.up.at.count() > up })
	b.returns(t, 0)
	b.returns(t, 1)
	x.finish(t)
	t.Logf("after %v of the egress both ways go on after %v; %d connections while it was stopped, %d after that", d, round(took), asleep,
		accepted(t, b.lab.Server())-opens-asleep)
	if most := int64(2*len(b.lab.Paths())) * int64(d/time.Second); asleep > most {
		t.Errorf("%d connections in %v to an egress that does not answer, want %d at most", asleep, d, most)
	}
}

// testLabRoute has paths that are found, and default routes that come and go.
func testLabRoute(t *testing.T) {
	if testing.Short() {
		t.Skip("-short runs equal paths only")
	}
	t.Parallel()
	b := newBed(t, bedConfig{paths: []string{"20M/30ms", "20M/30ms"}, auto: true})
	t.Run("default route", b.testDefaultRoute)
	t.Run("end", b.testEnd)
}

// route does something to all default routes of the client through path i. Nothing but that says that something has changed.
func (b *bed) route(t *testing.T, verb string, i int) {
	t.Helper()
	table := 101 + i // the laboratory's
	c := b.lab.Client().Command(t.Context(), "ip", "-batch", "-")
	c.Stdin = strings.NewReader(fmt.Sprintf("route %[1]s default dev %[2]s metric %[3]d\nroute %[1]s default dev %[2]s table %[3]d\n", verb, b.name(i), table))
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("ip route: %v: %s", err, out)
	}
}

// testDefaultRoute takes the default route from one line and gives it to another, while both interfaces stay as they are: the
// path that leads nowhere is left at once, and one that leads to the egress again is used at once.
func (b *bed) testDefaultRoute(t *testing.T) {
	b.route(t, "del", 1)
	eventually(t, "one path", func() bool { return b.pathStatus(t, 1).State == "down" })
	x := b.startTraffic(t)
	opens := accepted(t, b.lab.Server())
	for from := range 2 {
		to := 1 - from
		x.down.at.start()
		x.up.at.start()
		before := b.pathStatus(t, to).RX
		b.route(t, "del", from)
		b.route(t, "add", to)
		took := eventually(t, "data by the new default route", func() bool {
			p := b.pathStatus(t, to)
			return p.State == "up" && p.RX > before+warm
		})
		if p := b.pathStatus(t, from); p.State != "down" {
			t.Errorf("without a route %s is %s (%s)", p.Name, p.State, p.Reason)
		}
		t.Logf("a MiB more is down by %s %v after the default route has changed; longest stall: download %v, upload %v",
			b.name(to), round(took), round(x.down.at.stall()), round(x.up.at.stall()))
	}
	if opens = accepted(t, b.lab.Server()) - opens; opens > 6 {
		t.Errorf("%d connections for two changes of the default route", opens)
	}
	x.finish(t)
	b.route(t, "add", 1)
	b.allUp(t)
}

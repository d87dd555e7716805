package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/bench/lab"
)

// labUDP is where a bed's datagrams go.
const labUDP = labServer + ":7000"

// testLabUDP has two paths of which one carries a flow of datagrams.
func testLabUDP(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: under the race detector the machine is too slow for the flow")
	}
	t.Parallel()
	b := newBed(t, bedConfig{paths: []string{"50M/30ms", "50M/30ms"}})
	t.Run("datagrams up", func(t *testing.T) { b.testDatagrams(t, true) })
	t.Run("datagrams down", func(t *testing.T) { b.testDatagrams(t, false) })
	t.Run("end", b.testEnd)
}

const (
	datagramOctets = 1200
	datagramRate   = 20e6 // bits per second
	datagramSpan   = 6 * time.Second
	datagramCut    = 3 * time.Second // into it the path in use is cut
	datagramLinger = 2 * time.Second // for the last to arrive
)

// arrivals are the datagrams of a flow that have arrived.
type arrivals struct {
	mu   sync.Mutex
	seen map[uint32]time.Time
	last time.Time
	gap  time.Duration // the longest between two
	cut  time.Time
}

func (a *arrivals) take(n uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if !a.last.IsZero() {
		a.gap = max(a.gap, now.Sub(a.last))
	}
	a.last = now
	if _, twice := a.seen[n]; !twice {
		a.seen[n] = now
	}
}

// testDatagrams sends 20 Mbit/s of datagrams through an association, one way, and cuts the path that carries them in the middle.
func (b *bed) testDatagrams(t *testing.T, up bool) {
	server, err := b.lab.Server().ListenPacket("udp", labUDP)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	sock, err := b.lab.Client().ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client, err := udpAssociate(b.dial(t, labSocks), sock)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	target, err := net.ResolveUDPAddr("udp", labUDP)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.WriteTo([]byte("hello"), target); err != nil {
		t.Fatal(err)
	}
	_ = server.SetReadDeadline(time.Now().Add(patience))
	_, egress, err := server.ReadFrom(make([]byte, 10))
	if err != nil {
		t.Fatal(err)
	}
	_ = server.SetReadDeadline(time.Time{})
	var from, to net.PacketConn = client, server
	at := net.Addr(target)
	if !up {
		from, to, at = server, client, egress
	}
	for _, c := range []net.PacketConn{sock, server} { // as a program that wants such rates does
		if err := c.(interface{ SetReadBuffer(int) error }).SetReadBuffer(4 << 20); err != nil {
			t.Fatal(err)
		}
	}
	a := &arrivals{seen: make(map[uint32]time.Time)}
	received := make(chan struct{})
	go a.receive(to, received)
	busy := func(p pathView) uint64 {
		if up {
			return p.TX
		}
		return p.RX
	}
	before := b.status(t).Paths
	ctx, cancel := context.WithTimeout(t.Context(), datagramSpan)
	defer cancel()
	cutPath := -1
	cut := time.AfterFunc(datagramCut, func() {
		now := b.status(t).Paths
		most := slices.MaxFunc([]int{0, 1}, func(i, k int) int {
			return int(busy(now[i])-busy(before[i])) - int(busy(now[k])-busy(before[k]))
		})
		a.mu.Lock()
		cutPath, a.cut = most, time.Now()
		a.mu.Unlock()
		if _, err := b.lab.Run(fmt.Sprintf("down %d", most)); err != nil {
			t.Error(err)
		}
	})
	defer cut.Stop()
	sent, pause := sendDatagrams(ctx, from, at)
	lasts(datagramLinger)
	_ = to.SetReadDeadline(time.Now())
	<-received
	if !a.tell(t, sent, pause) {
		b.tellDrops(t)
	}
	_ = client.Close()
	_ = server.Close()
	b.do(t, "up all")
	b.allUp(t)
	if len(a.seen) < sent/2 || cutPath < 0 {
		t.Errorf("of %d datagrams %d arrived", sent, len(a.seen))
	}
}

// tellDrops logs what was dropped on the way, hop by hop: by sockets of either side, by the program, by the paths.
func (b *bed) tellDrops(t *testing.T) {
	for _, n := range []*lab.Namespace{b.lab.Client(), b.lab.Server()} {
		for _, file := range []string{"udp", "udp6"} {
			var sockets []byte
			err := n.Do(func() (err error) {
				sockets, err = os.ReadFile("/proc/thread-self/net/" + file)
				return err
			})
			if err != nil {
				t.Logf("%s: %v", n.Name(), err)
			}
			for line := range strings.Lines(string(sockets)) {
				if f := strings.Fields(line); f[len(f)-1] != "0" && f[0] != "sl" {
					t.Logf("%s: the socket %s dropped %s", n.Name(), f[1], f[len(f)-1])
				}
			}
		}
	}
	t.Logf("client: %+v", b.status(t).UDP)
	for _, p := range b.lab.Paths() {
		t.Log(p.Stats())
	}
}

// sendDatagrams sends at datagramRate until ctx ends and returns how many that were, and the longest time in which the machine did not let it.
func sendDatagrams(ctx context.Context, c net.PacketConn, to net.Addr) (sent int, pause time.Duration) {
	p := make([]byte, datagramOctets)
	start := time.Now()
	last := start
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return sent, pause
		case <-tick.C:
		}
		now := time.Now()
		last, pause = now, max(pause, now.Sub(last))
		for due := int(time.Since(start).Seconds() * datagramRate / 8 / datagramOctets); sent < due; sent++ {
			binary.BigEndian.PutUint32(p, uint32(sent))
			_, _ = c.WriteTo(p, to)
		}
	}
}

func (a *arrivals) receive(c net.PacketConn, done chan<- struct{}) {
	defer close(done)
	p := make([]byte, 2*datagramOctets)
	for {
		n, _, err := c.ReadFrom(p)
		if err != nil {
			return
		}
		if n == datagramOctets {
			a.take(binary.BigEndian.Uint32(p))
		}
	}
}

// Bounds of a flow on clean paths, of which the one that carries it is cut.
const (
	datagramLoss = 0.005 // of those that were not sent at about the time of the cut
	datagramGap  = 300 * time.Millisecond
	// starved is a pause of the sender's that tells of a machine with too much to do: what others do then says nothing of them.
	starved = 50 * time.Millisecond
)

// tell judges the flow, and logs what became of it: the loss of its whole, and of what was not sent within the second that the cut fell into.
func (a *arrivals) tell(t *testing.T, sent int, pause time.Duration) (good bool) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	perSecond := datagramRate / 8 / datagramOctets
	cut := int(datagramCut.Seconds() * perSecond)
	span := int(perSecond / 2)
	lost, near := 0, 0
	for n := range sent {
		if _, ok := a.seen[uint32(n)]; !ok {
			lost++
			if n > cut-span && n < cut+span {
				near++
			}
		}
	}
	t.Logf("%d datagrams, %d lost (%.2f %%), %d of them within half a second of the cut; longest gap %v; the sender was kept waiting for %v",
		sent, lost, 100*float64(lost)/float64(sent), near, round(a.gap), round(pause))
	good = float64(lost-near) < datagramLoss*float64(sent) && a.gap < datagramGap
	if !good && pause < starved {
		t.Errorf("want fewer than %g %% lost apart from the cut, and no gap of %v", 100*datagramLoss, datagramGap)
	}
	return good
}

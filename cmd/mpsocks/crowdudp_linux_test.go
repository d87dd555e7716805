package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mpsocks/mpsocks/socks"
)

const (
	// mostOfAddress is how many associations one address may have.
	mostOfAddress = 4096
	// mostAssociations is how many there may be, two descriptors each at the client.
	mostAssociations = 10_000
	// datagramTries is how often a datagram is sent until an answer comes: nobody promises that one arrives.
	datagramTries = 10
)

// associator is a program with many associations, all from one socket.
type associator struct {
	socks string
	from  net.IP
	sock  *net.UDPConn

	mu       sync.Mutex
	controls []net.Conn
	relays   []*net.UDPAddr
}

func newAssociator(t *testing.T, proxy string, from net.IP) *associator {
	t.Helper()
	sock, err := net.ListenUDP("udp", &net.UDPAddr{IP: from})
	if err != nil {
		t.Fatal(err)
	}
	a := &associator{socks: proxy, from: from, sock: sock}
	t.Cleanup(func() {
		_ = sock.Close()
		for _, c := range a.controls {
			_ = c.Close()
		}
	})
	return a
}

// associate opens one more.
func (a *associator) associate() error {
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: a.from}}).Dial("tcp", a.socks)
	if err != nil {
		return err
	}
	u, err := udpAssociate(c, a.sock)
	if err != nil {
		_ = c.Close()
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.controls, a.relays = append(a.controls, c), append(a.relays, u.relay.(*net.UDPAddr))
	return nil
}

// pingPong sends a datagram to target through association i and wants it back.
func (a *associator) pingPong(i int, target net.Addr) error {
	u := &socksPacketConn{PacketConn: a.sock, relay: a.relays[i]}
	want := fmt.Sprint("datagram ", i)
	got := make([]byte, 100)
	for range datagramTries {
		if _, err := u.WriteTo([]byte(want), target); err != nil {
			return err
		}
		_ = a.sock.SetReadDeadline(time.Now().Add(patience / datagramTries))
		for {
			n, from, err := u.ReadFrom(got)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return err
			}
			if string(got[:n]) == want && from.String() == target.String() { // or it is a late one
				return nil
			}
		}
	}
	return errors.New("no answer")
}

// Ten thousand UDP associations are as many as there may be, of one address fewer, and with few descriptors fewer, too; each relays for its own program
// and nobody else, and all end with their connections.
func TestUDPAssociations(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: many associations")
	}
	mayOpen(t, 2*mostOfAddress+1000)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	total := min(mostAssociations, (int(limit.Max)-fewDescriptors)/2)
	target, err := net.ResolveUDPAddr("udp", startEcho(t))
	if err != nil {
		t.Fatal(err)
	}
	c := newCrowd(t, "mptcp", mostAssociations)
	before := c.footprints(t)
	var programs []*associator
	start := time.Now()
	for open := 0; open < total; {
		a := newAssociator(t, c.socks, net.IPv4(127, 0, 0, byte(2+len(programs))))
		programs = append(programs, a)
		n := min(mostOfAddress, total-open)
		each(t, n, func(int) error { return a.associate() })
		open += n
	}
	t.Logf("%d associations in %v", total, round(time.Since(start)))
	each(t, len(programs), func(k int) error {
		for i := range programs[k].relays {
			if err := programs[k].pingPong(i, target); err != nil {
				return fmt.Errorf("association %d: %w", i, err)
			}
		}
		return nil
	})
	for who, now := range c.footprints(t) {
		was := before[who]
		t.Logf("%s: %d bytes of memory and %.3f descriptors an association", who,
			int(now.resident-was.resident)/total, float64(now.descriptors-was.descriptors)/float64(total))
		if most := map[string]int{"client": 2, "egress": 1}[who]*total + fewDescriptors; now.descriptors-was.descriptors > most {
			t.Errorf("%s: %d descriptors more, want at most %d", who, now.descriptors-was.descriptors, most)
		}
	}
	refused := func(who string, a *associator) {
		t.Helper()
		if err := a.associate(); err == nil || !strings.HasPrefix(err.Error(), "reply 05000501") {
			t.Errorf("one more of %s: %v, want reply 1", who, err)
		}
	}
	refused("an address that has all it may have", programs[0])
	// Where a process may not have as many descriptors as all of them need, these are the bound: what is beyond it is refused just so, and is none of the
	// business of those that are there.
	late := newAssociator(t, c.socks, net.IPv4(127, 0, 0, 200))
	for total < mostAssociations && late.associate() == nil {
		total++
	}
	t.Logf("%d associations and no more; a process here may have %d descriptors", total, limit.Max)
	if total == mostAssociations {
		refused("all", late)
	} else if err := late.associate(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one more than there are descriptors for: %v, want it refused", err)
	}
	for i := range late.relays {
		if err := late.pingPong(i, target); err != nil {
			t.Errorf("late association %d: %v", i, err)
		}
	}
	for _, c := range late.controls { // whoever asks for the state needs descriptors, too
		_ = c.Close()
		total--
	}
	eventually(t, "the late ones end", func() bool { return c.client.descriptors(t) < int(limit.Max)-fewDescriptors/2 })

	// A stranger hits every port there is.
	stranger := newAssociator(t, c.socks, net.IPv4(127, 0, 0, 201))
	for _, a := range programs {
		for _, relay := range a.relays {
			_, _ = (&socksPacketConn{PacketConn: stranger.sock, relay: relay}).WriteTo([]byte("stranger"), target)
		}
	}
	eventually(t, "strangers are counted", func() bool { return statusOf(t, c.admin).UDP.Dropped["stranger"] == uint64(total) })
	for _, a := range programs {
		if err := a.pingPong(0, target); err != nil {
			t.Errorf("after the strangers: %v", err)
		}
		for _, c := range a.controls {
			_ = c.Close()
		}
	}
	took := eventually(t, "all associations end", func() bool { return statusOf(t, c.admin).UDP.Associations == 0 })
	t.Logf("all ended %v after their connections", round(took))
}

// Programs that ask for more associations than there are descriptors for, many at a time, are all answered, those that ask for a connection as well; and
// the associations that have come about work.
func TestOutOfDescriptorsForUDP(t *testing.T) {
	const limit, wanted = 256, 400
	target, err := net.ResolveUDPAddr("udp", startEcho(t))
	if err != nil {
		t.Fatal(err)
	}
	c := newCrowd(t, "mptcp", wanted, "sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, limit))
	to, err := socks.ParseTarget(target.String())
	if err != nil {
		t.Fatal(err)
	}
	a := newAssociator(t, c.socks, net.IPv4(127, 0, 0, 2))
	var refused, late atomic.Int64
	each(t, wanted, func(i int) error {
		err := a.associate()
		if i%4 == 0 {
			var conn net.Conn
			if conn, err = c.openTunnel(to); err == nil {
				a.mu.Lock()
				a.controls = append(a.controls, conn)
				a.mu.Unlock()
			}
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			late.Add(1)
		case err != nil:
			refused.Add(1)
		}
		return nil
	})
	t.Logf("%d associations, %d refused, %d descriptors", len(a.relays), refused.Load(), c.client.descriptors(t))
	if late.Load() > 0 || refused.Load() == 0 || len(a.relays) < limit/8 {
		t.Errorf("%d associations, %d requests refused, %d never answered", len(a.relays), refused.Load(), late.Load())
	}
	for i := range a.relays {
		if err := a.pingPong(i, target); err != nil {
			t.Errorf("association %d: %v", i, err)
		}
	}
}

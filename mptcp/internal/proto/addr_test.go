package proto

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/option"
)

func addr4(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 0)
}

func addr6(i int) netip.AddrPort {
	a := netip.MustParseAddr("2001:db8::").As16()
	a[15] = byte(i)
	return netip.AddrPortFrom(netip.AddrFrom16(a), 8443)
}

// announced gives the client an ADD_ADDR as the egress would send it, changed by whoever is on the path.
func announced(d *duo, a Address, change func(*option.AddAddr)) error {
	o := announce(d.sides[egress].cfg.Secret, a)
	if change != nil {
		change(&o)
	}
	return d.give(client, 0, o.Append(nil), nil)
}

func TestAnnounceAndWithdraw(t *testing.T) {
	d := onePath(t)
	a := Address{ID: 5, Addr: addr6(1)}
	d.sides[egress].Announce(d.now, a)
	d.sides[egress].HandleTimer(d.now)
	d.settle()
	if got := d.sides[client].Addresses(); !slices.Equal(got, []Address{a}) {
		t.Fatalf("Addresses() = %v, want %v", got, a)
	}
	if !slices.Contains(d.events(client), "address") {
		t.Error("no event")
	}
	if n := len(d.sides[egress].addrs.ours); n != 0 {
		t.Errorf("%d announcements are kept after the echo", n)
	}
	d.sides[egress].Withdraw(5)
	d.settle()
	if got := d.sides[client].Addresses(); len(got) != 0 {
		t.Errorf("Addresses() after Withdraw = %v", got)
	}
}

// TestAnnouncementsAreRepeated counts them while no echo comes: four, further and further apart.
func TestAnnouncementsAreRepeated(t *testing.T) {
	d := onePath(t, func(c *Config) { c.KeepAlive = -1 })
	e := d.sides[egress]
	e.Announce(d.now, Address{ID: 5, Addr: addr4(1)})
	var at []time.Duration
	start := d.now
	for d.now < start+time.Minute {
		e.HandleTimer(d.now)
		for _, rec := range d.poll(egress, 0) {
			if strings.Contains(d.text(egress, rec), "ADD_ADDR") {
				at = append(at, d.now-start)
			}
		}
		if next := e.Deadline(); next != 0 && next <= d.now {
			t.Fatalf("Deadline() = %v at %v", next, d.now)
		}
		d.now += 100 * ms
	}
	if want := []time.Duration{0, second, 3 * second, 7 * second}; !slices.Equal(at, want) {
		t.Errorf("announced after %v, want %v", at, want)
	}
}

// TestEchoLost: an announcement is repeated when its echo is lost, and no more once one has come; the other side learns of it once.
func TestEchoLost(t *testing.T) {
	d := onePath(t, func(c *Config) { c.KeepAlive = -1 })
	e, c := d.sides[egress], d.sides[client]
	e.Announce(d.now, Address{ID: 5, Addr: addr4(1)})
	said, learnt, echoes := 0, 0, 0
	for start := d.now; d.now < start+time.Minute; d.now += 100 * ms {
		e.HandleTimer(d.now)
		for _, rec := range d.poll(egress, 0) {
			if strings.Contains(d.text(egress, rec), "ADD_ADDR") {
				said++
				if err := announced(d, Address{ID: 5, Addr: addr4(1)}, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, name := range d.events(client) {
			if name == "address" {
				learnt++
			}
		}
		c.HandleTimer(d.now)
		for _, rec := range d.poll(client, 0) {
			if !strings.Contains(d.text(client, rec), "ADD_ADDR") {
				continue
			}
			if echoes++; echoes == 1 {
				continue // lost
			}
			echo := announce(e.cfg.Secret, Address{ID: 5, Addr: addr4(1)})
			echo.Echo = true
			if err := d.give(egress, 0, echo.Append(nil), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if said != 2 || echoes != 2 || learnt != 1 {
		t.Errorf("announced %d times, echoed %d times, learnt %d times; want 2, 2 and 1", said, echoes, learnt)
	}
	if n := len(e.addrs.ours); n != 0 {
		t.Errorf("%d announcements are kept after the echo", n)
	}
}

// TestForgedAnnouncements are ignored in silence: no echo, no address, and the subflow lives.
func TestForgedAnnouncements(t *testing.T) {
	for name, change := range map[string]func(*option.AddAddr){
		"wrong HMAC":      func(o *option.AddAddr) { o.HMAC[0] ^= 1 },
		"no HMAC":         func(o *option.AddAddr) { o.HMAC = [8]byte{} },
		"another address": func(o *option.AddAddr) { o.Addr = addr4(9).Addr() },
		"another ID":      func(o *option.AddAddr) { o.ID++ },
		"another port":    func(o *option.AddAddr) { o.Port, o.HasPort = 22, true },
	} {
		d := onePath(t)
		if err := announced(d, Address{ID: 5, Addr: addr4(1)}, change); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := d.sides[client].Addresses(); len(got) != 0 {
			t.Errorf("%s: Addresses() = %v", name, got)
		}
		d.wait(time.Second)
		for _, rec := range d.poll(client, 0) {
			if strings.Contains(d.text(client, rec), "ADD_ADDR") {
				t.Errorf("%s: answered by %s", name, d.text(client, rec))
			}
		}
	}
}

// TestFloodOfAnnouncements: all IDs there are, many times.
func TestFloodOfAnnouncements(t *testing.T) {
	d := onePath(t)
	for i := range 1000 {
		if err := announced(d, Address{ID: uint8(i), Addr: addr4(i)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(d.sides[client].Addresses()); n != maxAddrs {
		t.Errorf("%d addresses are kept, want %d", n, maxAddrs)
	}
	if n := len(d.sides[client].addrs.echoes); n > maxAddrs {
		t.Errorf("%d echoes wait", n)
	}
}

func TestAnIDKeepsItsAddress(t *testing.T) {
	d := onePath(t)
	for _, a := range []Address{
		{5, addr4(1)}, {5, addr4(1)}, // twice the same
		{5, addr4(2)}, // another address: withdraw the old one first
		{5, netip.AddrPortFrom(addr4(1).Addr(), 443)}, // another port: one more target
		{6, addr4(2)}, {6, netip.AddrPortFrom(addr4(3).Addr(), 1)},
	} {
		if err := announced(d, a, nil); err != nil {
			t.Fatal(err)
		}
	}
	want := []Address{{5, addr4(1)}, {5, netip.AddrPortFrom(addr4(1).Addr(), 443)}, {6, addr4(2)}}
	if got := d.sides[client].Addresses(); !slices.Equal(got, want) {
		t.Errorf("Addresses() = %v, want %v", got, want)
	}
}

// TestRemoveAddrProbes: a subflow that uses a withdrawn address is asked, not ended; unknown IDs are ignored.
func TestRemoveAddrProbes(t *testing.T) {
	d := onePath(t)
	d.paths[0][client].peerAddrID = 3
	d.rest()
	d.events(client)
	if err := d.give(client, 0, option.RemoveAddr{IDs: []byte{200, 3}}.Append(nil), nil); err != nil {
		t.Fatal(err)
	}
	withdrawn := 0
	for _, e := range d.sides[client].Events() {
		if e.Kind == EventWithdrawn && e.Subflow == d.paths[0][client] {
			withdrawn++
		}
	}
	if withdrawn != 1 {
		t.Errorf("REMOVE_ADDR of a path in use is told of %d times, want once", withdrawn)
	}
	if recs := d.poll(client, 0); len(recs) != 1 || !strings.Contains(d.text(client, recs[0]), "probe") {
		t.Errorf("%d records after REMOVE_ADDR of a path in use", len(recs))
	}
	if len(d.sides[client].Subflows()) != 1 {
		t.Error("the only subflow is gone")
	}
}

func TestEchoOfAnotherAddress(t *testing.T) {
	d := onePath(t)
	d.sides[client].Announce(d.now, Address{ID: 5, Addr: addr4(1)})
	for _, a := range []Address{{6, addr4(1)}, {5, addr4(2)}} {
		if err := announced(d, a, func(o *option.AddAddr) { o.Echo = true }); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(d.sides[client].addrs.ours); n != 1 {
		t.Errorf("%d announcements are kept, want 1", n)
	}
}

// TestRemoveAddrWithoutReports: a peer that withdraws an address again and again and never reports gets few probes for it.
func TestRemoveAddrWithoutReports(t *testing.T) {
	d := onePath(t)
	sf := d.paths[0][egress]
	opts := option.RemoveAddr{IDs: []byte{sf.peerAddrID}}.Append(nil)
	for i := range 5000 {
		if i == 1000 {
			d.wait(200 * ms)
		}
		if err := d.give(egress, 0, opts, nil); err != nil {
			t.Fatal(err)
		}
		d.poll(egress, 0)
		d.wires[0][egress] = nil
	}
	if n := sf.out.sent.Len(); n > 10 {
		t.Errorf("%d records wait for a report", n)
	}
}

// TestUnreported: answers that are never reported end the subflow in the end.
func TestUnreported(t *testing.T) {
	d := onePath(t)
	sf := d.paths[0][egress]
	for range maxUnreported + 1 {
		sf.out.sent.Push(sentRecord{record: 1})
	}
	if err := d.give(egress, 0, nil, nil); err == nil {
		t.Error("a record was taken with more than maxUnreported waiting")
	}
}

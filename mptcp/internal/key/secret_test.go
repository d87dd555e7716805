package key

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/option"
)

const (
	nonceA = 0x11223344
	nonceB = 0xaabbccdd
)

func sides(v option.Version, binding []byte) (a, b Secret) {
	return Secret{Local: keyA, Remote: keyB, Binding: binding, Version: v},
		Secret{Local: keyB, Remote: keyA, Binding: binding, Version: v}
}

func TestJoinMAC(t *testing.T) {
	a, b := sides(option.V1, nil)
	ack := a.LocalJoinMAC(nonceA, nonceB, nil).ACK()
	if got, want := hex.EncodeToString(ack[:]), "f61753d6b8ac227764b9d1b17a6f5ceeec9d1a8a"; got != want {
		t.Errorf("HMAC of the ACK = %s, want %s", got, want)
	}
	synack := b.LocalJoinMAC(nonceB, nonceA, nil).SYNACK()
	if got, want := hex.EncodeToString(synack[:]), "3bae5abc810a33c2"; got != want {
		t.Errorf("HMAC of the SYN/ACK = %s, want %s", got, want)
	}
}

// Version 0 as computed apart from this package (HMAC-SHA1).
func TestJoinMACV0(t *testing.T) {
	a, b := sides(option.V0, nil)
	mac := a.LocalJoinMAC(nonceA, nonceB, nil)
	if got, want := hex.EncodeToString(mac[:20]), v0ACK; got != want {
		t.Errorf("HMAC of the ACK = %s, want %s", got, want)
	}
	if !bytes.Equal(mac[20:], make([]byte, 12)) {
		t.Errorf("HMAC beyond 20 bytes = %x, want zeros", mac[20:])
	}
	synack := b.LocalJoinMAC(nonceB, nonceA, nil).SYNACK()
	if got := hex.EncodeToString(synack[:]); got != v0SYNACK {
		t.Errorf("HMAC of the SYN/ACK = %s, want %s", got, v0SYNACK)
	}
}

const (
	v0ACK    = "73f372c7fb45d80f5ac7adb91baca5c87b0c783d"
	v0SYNACK = "327e3a27097c3dc0"
)

func TestBindings(t *testing.T) {
	session, subflow := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	a, _ := sides(option.V1, session)
	mac := a.LocalJoinMAC(nonceA, nonceB, subflow)
	if got := hex.EncodeToString(mac[:]); got != boundMAC {
		t.Errorf("HMAC with bindings = %s, want %s", got, boundMAC)
	}
	other, _ := sides(option.V1, bytes.Repeat([]byte{3}, 32))
	unbound, _ := sides(option.V1, nil)
	for name, m := range map[string]MAC{
		"another session":    other.LocalJoinMAC(nonceA, nonceB, subflow),
		"another subflow":    a.LocalJoinMAC(nonceA, nonceB, session),
		"no session binding": unbound.LocalJoinMAC(nonceA, nonceB, subflow),
		"no subflow binding": a.LocalJoinMAC(nonceA, nonceB, nil),
		"other nonces":       a.LocalJoinMAC(nonceA+1, nonceB, subflow),
		"the other side":     a.RemoteJoinMAC(nonceA, nonceB, subflow),
	} {
		if m == mac {
			t.Errorf("%s: same HMAC", name)
		}
	}
}

const boundMAC = "0cd15463b934510229040939170609042238b1cf3ba75c6c9832af83ee86500f"

// What one side makes is what the other expects, whoever opened the subflow.
func TestSidesAgree(t *testing.T) {
	for _, v := range []option.Version{option.V0, option.V1} {
		for _, binding := range [][]byte{nil, []byte("a session's channel")} {
			a, b := sides(v, binding)
			sub := []byte("a subflow's channel")
			if a.LocalJoinMAC(1, 2, sub) != b.RemoteJoinMAC(2, 1, sub) ||
				b.LocalJoinMAC(2, 1, sub) != a.RemoteJoinMAC(1, 2, sub) {
				t.Errorf("%v, binding %q: sides disagree on a join", v, binding)
			}
			ip := netip.MustParseAddr("192.0.2.1")
			if a.LocalAddAddrMAC(5, ip, 0) != b.RemoteAddAddrMAC(5, ip, 0) ||
				a.LocalAddAddrMAC(5, ip, 0) == a.RemoteAddAddrMAC(5, ip, 0) {
				t.Errorf("%v, binding %q: sides disagree on an address", v, binding)
			}
		}
	}
}

func TestAddAddrMAC(t *testing.T) {
	_, b := sides(option.V1, nil)
	for _, tt := range []struct {
		id   uint8
		addr string
		port uint16
		want string
	}{
		{5, "192.0.2.1", 0, "e45440a1a824197d"},
		{5, "192.0.2.1", 8443, "f126554ad5a8f222"},
		{6, "2001:db8::1", 0, "81aaca0463414042"},
	} {
		mac := b.LocalAddAddrMAC(tt.id, netip.MustParseAddr(tt.addr), tt.port)
		if got := hex.EncodeToString(mac[:]); got != tt.want {
			t.Errorf("HMAC of id %d %s port %d = %s, want %s", tt.id, tt.addr, tt.port, got, tt.want)
		}
	}
}

func TestEqual(t *testing.T) {
	if !Equal([]byte{1, 2}, []byte{1, 2}) || Equal([]byte{1, 2}, []byte{1, 3}) || Equal([]byte{1}, []byte{1, 2}) {
		t.Error("Equal is not equality")
	}
}

package lab

import (
	"encoding/binary"
	"testing"
)

// tcp makes a packet of a connection from the client's (10.1.1.1:40000) or the
// server's side.
func tcp(t *testing.T, from int, seq, ack uint32, flags byte, payload int) *packet {
	t.Helper()
	p := gso{payload: payload, flags: flags, sequence: seq}.packet(t, newBufferPool())
	be := binary.BigEndian
	be.PutUint32(p.b[p.l4+8:], ack)
	if from == atServer {
		copy(p.b[12:], serverAddr(0).AsSlice())
		copy(p.b[16:], clientAddr(0).AsSlice())
		be.PutUint16(p.b[p.l4:], 443)
		be.PutUint16(p.b[p.l4+2:], 40000)
	}
	return p
}

// TestResets follows a connection and looks at what would reset it.
func TestResets(t *testing.T) {
	type step struct {
		from     int
		seq, ack uint32
		flags    byte
		payload  int
		lost     bool
	}
	for _, c := range []struct {
		name     string
		steps    []step
		wantSeq  [2]uint32 // of the reset to client and to server
		wantAck0 uint32
	}{
		{"established", []step{
			{atClient, 100, 0, tcpSYN, 0, false}, {atServer, 900, 101, tcpSYN | tcpACK, 0, false}, {atClient, 101, 901, tcpACK, 0, false},
		}, [2]uint32{901, 101}, 101},
		{"client waits for an answer", []step{
			{atClient, 100, 0, tcpSYN, 0, true},
		}, [2]uint32{0, 101}, 101},
		{"data delivered, not yet acknowledged", []step{
			{atClient, 100, 0, tcpSYN, 0, false},
			{atServer, 900, 101, tcpSYN | tcpACK, 0, false},
			{atClient, 101, 901, tcpACK, 0, false},
			{atServer, 901, 101, tcpACK, 1000, false},
			{atServer, 1901, 101, tcpACK, 500, false},
		}, [2]uint32{2401, 101}, 101},
		{"data lost: the receiver still waits for it", []step{
			{atClient, 101, 901, tcpACK, 0, false},
			{atServer, 901, 101, tcpACK, 1000, true},
			{atServer, 1901, 101, tcpACK, 500, false},
		}, [2]uint32{901, 101}, 101},
		{"hole filled, acknowledgement tells", []step{
			{atClient, 101, 901, tcpACK, 0, false},
			{atServer, 901, 101, tcpACK, 1000, true},
			{atServer, 1901, 101, tcpACK, 500, false},
			{atServer, 901, 101, tcpACK, 1000, false},
			{atClient, 101, 2401, tcpACK, 0, true},
		}, [2]uint32{2401, 101}, 101},
		{"port used again", []step{
			{atClient, 5000, 7000, tcpACK, 100, false}, {atClient, 100, 0, tcpSYN, 0, false}, {atServer, 900, 101, tcpSYN | tcpACK, 0, false},
		}, [2]uint32{901, 101}, 101},
		{"sequence numbers wrap", []step{
			{atClient, 0xffffff00, 0xfffffff0, tcpACK, 0x200, false}, {atServer, 0xfffffff0, 0x100, tcpACK, 0x20, false},
		}, [2]uint32{0x10, 0x100}, 0x100},
	} {
		t.Run(c.name, func(t *testing.T) {
			var table flowTable
			for _, s := range c.steps {
				p := tcp(t, s.from, s.seq, s.ack, s.flags, s.payload)
				table.sent(p, s.from)
				if !s.lost {
					table.delivered(run{p: p, first: 0, last: 1}, 1-s.from)
				}
			}
			if n := len(table.flows); n != 1 {
				t.Fatalf("%d flows, want 1", n)
			}
			resets := table.resets()
			for to, want := range c.wantSeq {
				if len(resets[to]) != 1 {
					t.Fatalf("%d resets to side %d, want 1", len(resets[to]), to)
				}
				checkReset(t, resets[to][0], to, want)
			}
			if got := binary.BigEndian.Uint32(resets[atClient][0][vnetLen+28:]); got != c.wantAck0 {
				t.Errorf("reset to the client acknowledges %d, want %d", got, c.wantAck0)
			}
			if len(table.flows) != 0 {
				t.Errorf("flows left after the reset")
			}
		})
	}
}

func checkReset(t *testing.T, b []byte, to int, seq uint32) {
	t.Helper()
	p := &packet{b: b[vnetLen:], v: parseVnet(b)}
	if err := p.parse(); err != nil {
		t.Fatal(err)
	}
	checkSums(t, p, p.b)
	h := p.b[p.l4:]
	if h[13] != tcpRST|tcpACK {
		t.Errorf("flags %#x, want RST and ACK", h[13])
	}
	if got := binary.BigEndian.Uint32(h[4:]); got != seq {
		t.Errorf("reset to side %d: sequence %d, want %d", to, got, seq)
	}
	if key := keyOf(p, 1-to); key.clientPort != 40000 || key.serverPort != 443 {
		t.Errorf("reset to side %d: ports %d and %d", to, key.clientPort, key.serverPort)
	}
}

// TestFlowsForgotten: a reset that passes ends the flow, UDP has none, and the
// table is bounded.
func TestFlowsForgotten(t *testing.T) {
	var table flowTable
	table.sent(tcp(t, atClient, 1, 1, tcpACK, 10), atClient)
	table.sent(tcp(t, atServer, 1, 11, tcpRST, 0), atServer)
	table.sent(gso{udp: true, payload: 10}.packet(t, newBufferPool()), atClient)
	if n := len(table.flows); n != 0 {
		t.Errorf("%d flows, want none", n)
	}
	p := tcp(t, atClient, 1, 1, tcpACK, 0)
	for i := range maxFlows + 100 {
		p.b[p.l4], p.b[p.l4+1], p.b[15] = byte(i>>8), byte(i), byte(i>>16)
		table.sent(p, atClient)
	}
	if n := len(table.flows); n != maxFlows {
		t.Errorf("%d flows, want %d", n, maxFlows)
	}
}

// TestResetIPv6 looks at the other header.
func TestResetIPv6(t *testing.T) {
	var table flowTable
	p := gso{v6: true, payload: 10, sequence: 77, flags: tcpACK}.packet(t, newBufferPool())
	table.sent(p, atClient)
	for to, all := range table.resets() {
		q := &packet{b: all[0][vnetLen:], v: parseVnet(all[0])}
		if err := q.parse(); err != nil {
			t.Fatal(err)
		}
		checkSums(t, q, q.b)
		if !q.v6 || keyOf(q, 1-to) != keyOf(p, atClient) {
			t.Errorf("reset to side %d is of another connection", to)
		}
	}
}

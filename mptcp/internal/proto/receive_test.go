package proto

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/internal/seq"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// mapped returns options for a payload of n octets at an offset of a stream of the client, next on its subflow.
func (d *duo) mapped(id StreamID, at, n int, fin bool) []byte {
	return d.mappedAt(id, d.sides[client].firstOut().Add(at), n, fin)
}

// halfAway is a data sequence number that lies as far from the at-th octet of a stream as there is.
func (d *duo) halfAway(at int) seq.DSN { return d.sides[client].firstOut().Add(at) + 1<<63 }

func (d *duo) mappedAt(id StreamID, at seq.DSN, n int, fin bool) []byte {
	b := wire.Append32(nil, wire.PrivStream, uint32(id))
	m := option.DSS{HasMap: true, DSN64: true, DSN: uint64(at), Length: uint16(n), DataFIN: fin}
	if n > 0 {
		m.SSN = d.paths[0][egress].in.ssn
	}
	if fin {
		m.Length++
	}
	return m.Append(b)
}

// feed gives the egress a record with a payload of the client's stream.
func (d *duo) feed(id StreamID, at, n int, fin bool) error {
	return d.give(egress, 0, d.mapped(id, at, n, fin), pattern(id, true, at, n))
}

// alter returns options with a DSS changed.
func (d *duo) alter(id StreamID, at, n int, change func(*option.DSS)) []byte {
	b := d.mapped(id, at, n, false)
	m, err := option.ParseDSS(b[8:])
	if err != nil {
		d.t.Fatal(err)
	}
	change(&m)
	return m.Append(b[:8])
}

func TestReceiveInAnyOrder(t *testing.T) {
	d := onePath(t)
	for _, at := range []int{200, 0, 300, 100, 0, 200} { // the last two are copies
		if err := d.feed(0, at, 100, false); err != nil {
			t.Fatal(err)
		}
	}
	st := d.sides[egress].streams[0]
	if got := take(t, d.now, st); got != 400 {
		t.Errorf("read %d octets, want 400", got)
	}
}

// TestViolations gives the egress records no honest peer sends: each ends the subflow, for a reason, and never the session.
func TestViolations(t *testing.T) {
	payload := pattern(0, true, 0, 100)
	for _, tc := range []struct {
		name   string
		reason option.Reason
		do     func(d *duo) error
	}{
		{"payload without a mapping", option.ReasonMPTCP, func(d *duo) error { return d.give(egress, 0, nil, payload) }},
		{"mapping without payload", option.ReasonMPTCP, func(d *duo) error { return d.give(egress, 0, d.mapped(0, 0, 100, false), nil) }},
		{"mapping longer than the payload", option.ReasonMPTCP, func(d *duo) error { return d.give(egress, 0, d.mapped(0, 0, 101, false), payload) }},
		{"mapping shorter than the payload", option.ReasonMPTCP, func(d *duo) error { return d.give(egress, 0, d.mapped(0, 0, 99, false), payload) }},
		{"infinite mapping", option.ReasonMPTCP, func(d *duo) error { return d.give(egress, 0, d.mapped(0, 0, 0, false), payload) }},
		{"two mappings", option.ReasonMPTCP, func(d *duo) error {
			m := d.mapped(0, 0, 100, false)
			return d.give(egress, 0, append(m, m...), payload)
		}},
		{"mapping ahead in the subflow", option.ReasonMPTCP, func(d *duo) error {
			return d.give(egress, 0, d.alter(0, 0, 100, func(m *option.DSS) { m.SSN++ }), payload)
		}},
		{"mapping back in the subflow", option.ReasonMPTCP, func(d *duo) error {
			if err := d.feed(0, 0, 100, false); err != nil {
				return err
			}
			return d.give(egress, 0, d.alter(0, 100, 100, func(m *option.DSS) { m.SSN = 1 }), payload)
		}},
		{"checksum that was not negotiated", option.ReasonMPTCP, func(d *duo) error {
			return d.give(egress, 0, d.alter(0, 0, 100, func(m *option.DSS) { m.HasChecksum = true }), payload)
		}},
		{"data beyond the stream's credit", option.ReasonTooMuchData, func(d *duo) error { return d.feed(0, int(roomyHello.StreamCredit)-99, 100, false) }},
		{"data half the sequence space away", option.ReasonMPTCP, func(d *duo) error { return d.give(egress, 0, d.mappedAt(0, d.halfAway(0), 100, false), payload) }},
		{"data half the sequence space away, window full", option.ReasonMPTCP, func(d *duo) error {
			full := int(roomyHello.StreamCredit)
			for at := 0; at < full; at += 1024 {
				if err := d.feed(0, at, 1024, false); err != nil {
					return err
				}
			}
			return d.give(egress, 0, d.mappedAt(0, d.halfAway(full), 1, false), payload[:1])
		}},
		{"end half the sequence space away", option.ReasonMPTCP, func(d *duo) error { return d.give(egress, 0, d.mappedAt(0, d.halfAway(0), 0, true), nil) }},
		{"data far beyond the stream's credit", option.ReasonTooMuchData, func(d *duo) error { return d.feed(0, 1<<30, 100, false) }},
		{"end beyond the stream's credit", option.ReasonTooMuchData, func(d *duo) error { return d.feed(0, int(roomyHello.StreamCredit)+1, 0, true) }},
		{"data beyond the session's credit", option.ReasonTooMuchData, func(d *duo) error {
			var err error
			for id := StreamID(0); err == nil && id < 180; id += 2 {
				err = d.feed(id, int(roomyHello.StreamCredit)-100, 100, false)
			}
			return err
		}},
		{"stream beyond the limit", option.ReasonTooMuchData, func(d *duo) error { return d.feed(200, 0, 100, false) }},
		{"stream far beyond the limit", option.ReasonTooMuchData, func(d *duo) error { return d.feed(1<<32-2, 0, 100, false) }},
		{"stream of ours that was never opened", option.ReasonMPTCP, func(d *duo) error { return d.feed(1, 0, 100, false) }},
		{"stop of a stream of ours that was never opened", option.ReasonMPTCP, func(d *duo) error {
			return d.give(egress, 0, wire.Append32(wire.Append32(nil, wire.PrivStream, 1), wire.PrivStop, 1), nil)
		}},
		{"end that moves", option.ReasonMPTCP, func(d *duo) error {
			if err := d.feed(0, 0, 100, true); err != nil {
				return err
			}
			return d.feed(0, 100, 50, true)
		}},
		{"end before data that arrived", option.ReasonMPTCP, func(d *duo) error {
			if err := d.feed(0, 0, 100, false); err != nil {
				return err
			}
			return d.feed(0, 50, 0, true)
		}},
		{"data beyond the end", option.ReasonMPTCP, func(d *duo) error {
			if err := d.feed(0, 100, 0, true); err != nil {
				return err
			}
			return d.feed(0, 50, 100, false)
		}},
		{"too many records that say nothing", option.ReasonMPTCP, func(d *duo) error {
			for range maxEmpty {
				if err := d.give(egress, 0, nil, nil); err != nil {
					return err
				}
				if err := d.give(egress, 0, wire.Append32(nil, wire.PrivProbe, 1), nil); err != nil { // what says something makes up for nothing
					return err
				}
			}
			return d.give(egress, 0, []byte{1, 1, 1, 1}, nil)
		}},
		{"too many islands", option.ReasonTooMuchData, func(d *duo) error {
			var err error
			for at := 1; err == nil && at < 3*maxIslands; at += 2 {
				err = d.feed(0, at, 1, false)
			}
			return err
		}},
		{"report of records never sent", option.ReasonMPTCP, func(d *duo) error {
			return d.give(egress, 0, wire.Report{Records: 1000}.Append(nil), nil)
		}},
		{"MP_CAPABLE", option.ReasonMPTCP, func(d *duo) error {
			return d.give(egress, 0, option.Capable{Version: 1, Form: option.CapableBare, Crypto: option.CryptoHMAC}.Append(nil), nil)
		}},
		{"MP_JOIN", option.ReasonMPTCP, func(d *duo) error { return d.give(egress, 0, option.JoinSYN{}.Append(nil), nil) }},
		{"hello", option.ReasonMPTCP, func(d *duo) error { return d.give(egress, 0, roomyHello.Append(nil), nil) }},
		{"MP_FAIL", option.ReasonMiddlebox, func(d *duo) error { return d.give(egress, 0, option.Fail{DSN: 5}.Append(nil), nil) }},
		{"option cut short", option.ReasonMPTCP, func(d *duo) error { return d.give(egress, 0, []byte{option.Kind, 8, 0xf0, 0}, nil) }},
		{"option of length 0", option.ReasonMPTCP, func(d *duo) error { return d.give(egress, 0, []byte{option.Kind, 0, 0xf0, 0}, nil) }},
		{"DSS of an impossible length", option.ReasonMPTCP, func(d *duo) error { return d.give(egress, 0, []byte{option.Kind, 5, 0x20, 0x04, 0}, nil) }},
		{"private option of a wrong length", option.ReasonMPTCP, func(d *duo) error {
			return d.give(egress, 0, []byte{option.Kind, 6, 0xf0, 0, 0, 0, 1, 1}, nil)
		}},
		{"malformed MP_PRIO", option.ReasonMPTCP, func(d *duo) error { return d.give(egress, 0, []byte{option.Kind, 7, 0x50, 0, 0, 0, 0, 1}, nil) }},
		{"malformed ADD_ADDR", option.ReasonMPTCP, func(d *duo) error { return d.give(egress, 0, []byte{option.Kind, 5, 0x30, 0, 0, 1, 1, 1}, nil) }},
		{"malformed REMOVE_ADDR", option.ReasonMPTCP, func(d *duo) error { return d.give(egress, 0, []byte{option.Kind, 3, 0x40, 1}, nil) }},
		{"malformed MP_FASTCLOSE", option.ReasonMPTCP, func(d *duo) error { return d.give(egress, 0, []byte{option.Kind, 4, 0x70, 1}, nil) }},
		{"malformed MP_TCPRST", option.ReasonMPTCP, func(d *duo) error { return d.give(egress, 0, []byte{option.Kind, 3, 0x80, 1}, nil) }},
		{"more finished streams than are answered", option.ReasonTooMuchData, func(d *duo) error {
			_, near := closedStream(d)
			second, _ := closedStream(d)
			var err error
			for i := 0; err == nil && i < 2*maxGone; i++ {
				err = d.feed([]StreamID{near.id, second.id}[i%2], 0, 1, false)
			}
			return err
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := twoPaths(t)
			err := tc.do(d)
			wantSubflowError(t, err, tc.reason)
			// The driver ends the subflow. The session goes on over the other path.
			for side := range d.sides {
				d.sides[side].RemoveSubflow(d.now, d.paths[0][side])
			}
			if closed, why := d.sides[egress].Closed(); closed {
				t.Fatalf("the session has ended: %v", why)
			}
			d.settle()
			near, far := d.open(egress, 1000)
			if take(t, d.now, far) != 1000 || near.WriteErr() != CodeNone {
				t.Error("the session carries no data any more")
			}
		})
	}
}

// closedStream returns both ends of a stream that has come and gone.
func closedStream(d *duo) (near, far *Stream) {
	near, far = d.open(client, 10)
	near.CloseWrite(d.now)
	far.CloseWrite(d.now)
	take(d.t, d.now, far)
	d.rest()
	if !near.Finished() || !far.Finished() {
		d.t.Fatal("the stream has not finished")
	}
	return near, far
}

// TestTolerated gives the egress records that are odd and harmless.
func TestTolerated(t *testing.T) {
	payload := pattern(0, true, 0, 100)
	for _, tc := range []struct {
		name string
		do   func(d *duo) error
	}{
		{"nothing at all", func(d *duo) error { return d.give(egress, 0, nil, nil) }},
		{"NOPs and EOL", func(d *duo) error { return d.give(egress, 0, []byte{1, 1, 1, 0, 9, 9, 9, 9}, nil) }},
		{"another TCP option", func(d *duo) error { return d.give(egress, 0, []byte{8, 10, 1, 2, 3, 4, 5, 6, 7, 8}, nil) }},
		{"unknown subtype", func(d *duo) error { return d.give(egress, 0, []byte{option.Kind, 4, 0x90, 0}, nil) }},
		{"unknown private option", func(d *duo) error { return d.give(egress, 0, []byte{option.Kind, 4, 0xf6, 0}, nil) }},
		{"DATA_ACK of no stream", func(d *duo) error { return d.give(egress, 0, option.DSS{HasAck: true, DataACK: 5}.Append(nil), nil) }},
		{"credit, ranges and gone of a stream that is not there", func(d *duo) error {
			b := wire.Append32(nil, wire.PrivStream, 4)
			b = wire.AppendCredit(b, 1, true)
			b = wire.AppendGone(b)
			return d.give(egress, 0, b, nil)
		}},
		{"mapping sent twice, of different octets", func(d *duo) error {
			if err := d.feed(0, 0, 100, false); err != nil {
				return err
			}
			return d.give(egress, 0, d.mapped(0, 0, 100, false), make([]byte, 100))
		}},
		{"old data far below", func(d *duo) error {
			return d.give(egress, 0, d.alter(0, 0, 100, func(m *option.DSS) { m.DSN -= 1 << 40 }), payload)
		}},
		{"DSN of 32 bits", func(d *duo) error {
			return d.give(egress, 0, d.alter(0, 0, 100, func(m *option.DSS) { m.DSN64, m.DSN = false, m.DSN&(1<<32-1) }), payload)
		}},
		{"reserved flags", func(d *duo) error {
			return d.give(egress, 0, d.alter(0, 0, 100, func(m *option.DSS) { m.Reserved = 0x7f }), payload)
		}},
		{"reset of a stream with nothing before it", func(d *duo) error {
			b := wire.AppendReset(wire.Append32(nil, wire.PrivStream, 0), 1, true)
			return d.give(egress, 0, append(b, d.mapped(0, 0, 0, true)[8:]...), nil)
		}},
		{"data of a finished stream", func(d *duo) error {
			near, _ := closedStream(d)
			return d.feed(near.id, 0, 10, false)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := onePath(t)
			if err := tc.do(d); err != nil {
				t.Fatalf("HandleRecord: %v", err)
			}
			d.check()
			if st := d.sides[egress].streams[0]; st != nil {
				take(t, d.now, st) // checks the octets
			}
			if closed, why := d.sides[egress].Closed(); closed {
				t.Errorf("the session has ended: %v", why)
			}
		})
	}
}

func TestResetByThePeer(t *testing.T) {
	d := onePath(t)
	err := d.give(egress, 0, option.TCPReset{Reason: option.ReasonProhibited, Transient: true}.Append(nil), nil)
	var reset *PeerResetError
	if !errors.As(err, &reset) || reset.Reason != option.ReasonProhibited || !reset.Transient {
		t.Errorf("HandleRecord of MP_TCPRST = %v", err)
	}
	if reset.Error() != "subflow reset by the peer: administratively prohibited" {
		t.Errorf("Error() = %q", reset.Error())
	}
}

// TestDataAckOutOfBounds: beyond what was sent, going back, jumping by half the space.
func TestDataAckOutOfBounds(t *testing.T) {
	d := onePath(t)
	near, _ := d.open(client, 1000)
	d.rest()
	put(near, 1000)
	d.poll(client, 0)
	una := near.out.acked
	for _, ack := range []seq.DSN{una.Add(1001), una + 1<<31, una.Add(-1), una - 1<<40, una + 1<<63} {
		b := wire.Append32(nil, wire.PrivStream, 0)
		if err := d.give(client, 0, option.DSS{HasAck: true, Ack64: true, DataACK: uint64(ack)}.Append(b), nil); err != nil {
			t.Errorf("DATA_ACK at %d: %v", ack.Sub(una), err)
		}
		if near.out.acked != una {
			t.Fatalf("DATA_ACK at %d moved SND.UNA by %d", ack.Sub(una), near.out.acked.Sub(una))
		}
	}
	b := wire.Append32(nil, wire.PrivStream, 0)
	if err := d.give(client, 0, option.DSS{HasAck: true, DataACK: uint64(una.Add(500)) & (1<<32 - 1)}.Append(b), nil); err != nil || near.out.acked != una.Add(500) {
		t.Errorf("DATA_ACK of 32 bits inside a mapping: SND.UNA moved by %d, %v", near.out.acked.Sub(una), err)
	}
	d.check()
}

// TestRangesOutOfBounds: what the peer says to hold it cannot hold.
func TestRangesOutOfBounds(t *testing.T) {
	d := onePath(t)
	near, _ := d.open(client, 1000)
	d.rest()
	put(near, 5000)
	d.poll(client, 0)
	una := near.out.acked
	for _, r := range []seq.Range{{Start: una.Add(-100), End: una.Add(100)}, {Start: una.Add(4000), End: una.Add(6000)}, {Start: una.Add(100), End: una.Add(100)}, {Start: una + 1<<63, End: una + 1<<63 + 5}} {
		var l wire.RangeList
		l.Add(uint64(r.Start), uint32(r.Len()))
		if err := d.give(client, 0, l.Append(wire.Append32(nil, wire.PrivStream, 0)), nil); err != nil {
			t.Errorf("ranges %+v: %v", r, err)
		}
	}
	for i := range near.out.flight.q.Len() {
		if near.out.flight.q.At(i).arrived {
			t.Errorf("piece %d counts as arrived", i)
		}
	}
	d.check()
}

// TestFins: DATA_FIN alone, with data, before data, twice and on two paths: one end after all octets.
func TestFins(t *testing.T) {
	for _, tc := range []struct {
		name  string
		feeds [][3]int // at, n, 1 for the end
	}{
		{"with data", [][3]int{{0, 100, 1}}},
		{"alone", [][3]int{{0, 100, 0}, {100, 0, 1}}},
		{"before data", [][3]int{{100, 0, 1}, {0, 100, 0}}},
		{"before data, twice", [][3]int{{100, 0, 1}, {100, 0, 1}, {50, 50, 1}, {0, 50, 0}}},
		{"of nothing", [][3]int{{0, 0, 1}}},
		{"and all again", [][3]int{{0, 100, 1}, {0, 100, 1}, {100, 0, 1}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := onePath(t)
			total := 0
			for _, f := range tc.feeds {
				if err := d.feed(0, f[0], f[1], f[2] == 1); err != nil {
					t.Fatal(err)
				}
				total = max(total, f[0]+f[1])
			}
			st := d.sides[egress].streams[0]
			if got := take(t, d.now, st); got != total {
				t.Errorf("read %d octets, want %d", got, total)
			}
			if end, code := st.ReadErr(); !end || code != CodeNone {
				t.Errorf("ReadErr() = %v, %v; want the end", end, code)
			}
			if st.State() != "CLOSE_WAIT" || st.rcvAck() != d.sides[egress].firstIn().Add(total+1) {
				t.Errorf("state %s, DATA_ACK %d; want CLOSE_WAIT, %d", st.State(), st.rcvAck().Sub(d.sides[egress].firstIn()), total+1)
			}
		})
	}
}

func TestFastClose(t *testing.T) {
	d := twoPaths(t)
	near, far := d.open(client, 100)
	for i := range 1000 { // a storm of guesses
		if err := d.give(egress, i%2, option.FastClose{Key: uint64(i)}.Append(nil), nil); err != nil {
			t.Fatal(err)
		}
	}
	if closed, _ := d.sides[egress].Closed(); closed {
		t.Fatal("a guess closed the session")
	}
	near.s.End(d.now, ErrSessionClosed, true)
	if code := near.WriteErr(); code != CodeSession {
		t.Errorf("WriteErr() after End = %v", code)
	}
	for path := range d.paths {
		if recs := d.poll(client, path); len(recs) != 1 || d.text(client, recs[0]) != "MP_FASTCLOSE" {
			t.Errorf("path %d: %d records after End", path, len(recs))
		}
	}
	if _, err := d.deliver(client, 1, -1); err != nil {
		t.Fatal(err)
	}
	closed, why := d.sides[egress].Closed()
	if ev := d.events(egress); !closed || !errors.Is(why, ErrPeerClosed) || !slices.Contains(ev, "closed: session closed by the peer") {
		t.Errorf("Closed() = %v, %v; events %q", closed, why, ev)
	}
	// What had arrived can be read; then the end of the session shows. Data after it is dropped.
	if got := take(t, d.now, far); got != 100 {
		t.Errorf("read %d octets, want 100", got)
	}
	if end, code := far.ReadErr(); end || code != CodeSession {
		t.Errorf("ReadErr() = %v, %v", end, code)
	}
	if err := d.feed(0, 100, 10, false); err != nil {
		t.Errorf("data after MP_FASTCLOSE: %v", err)
	}
	if d.sides[egress].Deadline() != 0 {
		t.Error("a closed session has a deadline")
	}
}

// TestPrio: the last value wins; all paths may be backups.
func TestPrio(t *testing.T) {
	d := twoPaths(t)
	near, far := d.open(client, 10)
	d.rest()
	d.known(2e6, 0, 1)
	for i := range 101 {
		d.sides[client].SetRole(d.paths[0][client], []sched.Role{sched.Backup, sched.Primary}[i%2])
		d.poll(client, 0)
		if _, err := d.deliver(client, 0, -1); err != nil {
			t.Fatal(err)
		}
	}
	if got := d.paths[0][egress].Role(); got != sched.Backup {
		t.Errorf("Role() = %v, want backup", got)
	}
	put(far, 1000)
	for _, rec := range d.poll(egress, 0) {
		if strings.Contains(d.text(egress, rec), "dsn=") {
			t.Errorf("the backup carries %s", d.text(egress, rec))
		}
	}
	d.settle()
	d.sides[client].SetRole(d.paths[1][client], sched.Backup)
	d.settle()
	put(far, 1000)
	d.rest()
	if got := take(t, d.now, near); got != 2000 {
		t.Errorf("read %d octets over two backups, want 2000", got)
	}
}

// TestPrioOfAnotherPath: version 0 could name a path; version 1 cannot, so a name is ignored (RFC 8684, appendix E).
func TestPrioOfAnotherPath(t *testing.T) {
	d := twoPaths(t)
	if err := d.give(egress, 0, option.Prio{Backup: true, HasAddrID: true, AddrID: 1}.Append(nil), nil); err != nil {
		t.Fatal(err)
	}
	if d.paths[0][egress].Role() != sched.Primary || d.paths[1][egress].Role() != sched.Primary {
		t.Error("an MP_PRIO with an address ID changed a path")
	}
}

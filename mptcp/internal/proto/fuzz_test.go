package proto

import (
	"errors"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// FuzzHandleRecord gives a session in the middle of its life arbitrary records. It must not panic, an error must be one that ends the subflow,
// and the session's books must stay in order.
func FuzzHandleRecord(f *testing.F) {
	for _, seed := range fuzzSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := liveDuo(t)
		for path := 0; len(data) >= 3; path = 1 - path {
			opts, payload, rest := fuzzRecord(data)
			data = rest
			err := d.give(egress, path, opts, payload)
			var refused *SubflowError
			var reset *PeerResetError
			switch {
			case err == nil:
			case errors.As(err, &refused), errors.As(err, &reset):
				d.sides[egress].RemoveSubflow(d.now, d.paths[path][egress])
			default:
				t.Fatalf("HandleRecord: %v (%T)", err, err)
			}
			if err := d.sides[egress].invariants(); err != "" {
				t.Fatal(err)
			}
			d.now += time.Millisecond
		}
		liveOn(t, d)
	})
}

// fuzzRecord takes one record from the fuzzer's octets: lengths of options and payload, and those.
func fuzzRecord(data []byte) (opts, payload, rest []byte) {
	nOpts, nPayload := int(data[0]), int(data[1])<<8|int(data[2])
	data = data[3:]
	nOpts = min(nOpts, len(data))
	opts, data = data[:nOpts], data[nOpts:]
	payload = make([]byte, min(nPayload, 2000)) // its octets do not matter
	return opts, payload, data
}

// liveDuo returns sessions with streams in several states, seen from the egress.
func liveDuo(t *testing.T) *duo {
	d := newDuo(t, roomyHello, understood)
	d.path(30*ms, sched.Primary)
	d.path(40*ms, sched.Primary)
	d.settle()
	near, far := d.open(client, 1000) // 0: both ways open, octets on their way
	put(far, 3000)
	_, half := d.open(client, 100) // 2: half closed
	half.CloseWrite(d.now)
	_, stopped := d.open(client, 100) // 4: nobody reads
	stopped.CloseRead(d.now)
	gone, _ := d.open(client, 100) // 6: reset
	gone.Reset(d.now, CodeReset)
	d.open(egress, 500) // 1: ours
	d.settle()
	put(near, 100)
	put(far, 3000)
	d.poll(egress, 0)
	return d
}

// liveOn does what a driver does afterwards: read, send, let timers pass.
func liveOn(t *testing.T, d *duo) {
	t.Helper()
	e := d.sides[egress]
	for st := e.all.first; st != nil; st = e.all.after(st) {
		for buf := st.Next(); buf != nil; buf = st.Next() {
			st.Consumed(d.now, len(buf.B))
			buf.Free()
		}
		st.ReadErr()
	}
	for range 10 {
		e.Events()
		for path := range d.paths {
			d.poll(egress, path)
		}
		if at := e.Deadline(); at != 0 {
			d.now = max(d.now, at)
			e.HandleTimer(d.now)
			if next := e.Deadline(); next != 0 && next <= d.now {
				t.Fatalf("Deadline() = %v after HandleTimer(%v)", next, d.now)
			}
		}
	}
	if err := e.invariants(); err != "" {
		t.Fatal(err)
	}
	e.End(d.now, ErrSessionClosed, true)
}

// fuzzSeeds are records of each kind, as the fuzzer's octets have them.
func fuzzSeeds() (seeds [][]byte) {
	c, e := fixedSecrets()
	first := c.Local.IDSN(Version) + 1
	stream := func(id uint32) []byte { return wire.Append32(nil, wire.PrivStream, id) }
	mapped := func(id uint32, at uint64, n, ssn int, fin bool) []byte {
		m := option.DSS{HasAck: true, Ack64: true, DataACK: e.Local.IDSN(Version) + 10, HasMap: true, DSN64: true, DSN: first + at, SSN: uint32(ssn), Length: uint16(n), DataFIN: fin}
		return m.Append(stream(id))
	}
	var l wire.RangeList
	l.Add(e.Local.IDSN(Version)+1000, 500)
	for _, r := range []struct {
		opts    []byte
		payload int
	}{
		{nil, 0},
		{mapped(0, 1000, 100, 1001, false), 100},
		{mapped(8, 0, 100, 1001, true), 99},
		{mapped(2, 100, 1, 0, true), 0},
		{append(wire.AppendReset(stream(0), 1, true), mapped(0, 1100, 1, 0, true)[8:]...), 0},
		{wire.AppendCredit(stream(0), e.Local.IDSN(Version)+300_000, true), 0},
		{l.Append(stream(0)), 0},
		{wire.Append32(stream(0), wire.PrivStop, 2), 0},
		{wire.AppendGone(stream(2)), 0},
		{wire.Append64(nil, wire.PrivSessionCredit, 1<<30), 0},
		{wire.Append32(nil, wire.PrivStreamsCredit, 200), 0},
		{wire.Append32(nil, wire.PrivProbe, 7), 0},
		{wire.Report{Records: 5}.Append(nil), 0},
		{wire.Status{AddrID: 1, State: wire.StatusSuspect}.Append(nil), 0},
		{option.Prio{Backup: true}.Append(nil), 0},
		{announce(c, Address{ID: 3, Addr: addr4(1)}).Append(nil), 0},
		{option.RemoveAddr{IDs: []byte{0, 3}}.Append(nil), 0},
		{option.FastClose{Key: uint64(e.Local)}.Append(nil), 0},
		{option.TCPReset{Reason: option.ReasonMPTCP}.Append(nil), 0},
		{option.Fail{DSN: 9}.Append(nil), 0},
		{wire.Append64(stream(0), wire.PrivDatagram, 3), 700},
		{wire.Append64(stream(2), wire.PrivDatagram, 1<<63), 0},
	} {
		seeds = append(seeds, append([]byte{byte(len(r.opts)), byte(r.payload >> 8), byte(r.payload)}, r.opts...))
	}
	var all []byte // and a conversation
	for _, s := range seeds[:16] {
		all = append(all, s...)
	}
	return append(seeds, all)
}

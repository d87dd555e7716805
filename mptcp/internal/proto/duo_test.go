package proto

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
	"github.com/mpsocks/mpsocks/mptcp/internal/key"
	"github.com/mpsocks/mpsocks/mptcp/internal/seq"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// duo is two sessions whose records a test moves by hand.
type duo struct {
	t     *testing.T
	now   Instant
	sides [2]*Session // client, egress
	paths [][2]*Subflow
	wires [][2][][]byte // records sent by the client, by the egress, on each path

	scratch [2048]byte
}

const (
	client = 0
	egress = 1
)

// fixedSecrets are the keys of RFC examples' kind: the same in each run.
func fixedSecrets() (c, e key.Secret) {
	a, b := key.Key(0x0123456789abcdef), key.Key(0xfedcba9876543210)
	binding := []byte("a binding of thirty-two octets..")
	return key.Secret{Local: a, Remote: b, Binding: binding, Version: Version}, key.Secret{Local: b, Remote: a, Binding: binding, Version: Version}
}

var roomyHello = wire.Hello{Version: wire.HelloVersion, StreamCredit: 256 << 10, SessionCredit: 16 << 20, MaxStreams: 100}

func newDuo(t *testing.T, hello wire.Hello, changes ...func(*Config)) *duo {
	d := &duo{t: t, now: time.Second}
	c, e := fixedSecrets()
	for i, secret := range []key.Secret{c, e} {
		cfg := Config{Client: i == client, Secret: secret, Local: hello, Peer: hello}
		for _, change := range changes {
			change(&cfg)
		}
		d.sides[i] = New(cfg, d.now)
	}
	return d
}

// path adds a subflow on both sides.
func (d *duo) path(rtt time.Duration, role sched.Role) int {
	d.t.Helper()
	i := len(d.paths)
	var p [2]*Subflow
	for side, s := range d.sides {
		sf, err := s.AddSubflow(d.now, uint8(i), 0, role, false, rtt)
		if err != nil {
			d.t.Fatalf("AddSubflow: %v", err)
		}
		p[side] = sf
	}
	d.paths = append(d.paths, p)
	d.wires = append(d.wires, [2][][]byte{})
	return i
}

// onePath returns two sessions joined by one path whose handshake records have been exchanged.
func onePath(t *testing.T, changes ...func(*Config)) *duo {
	t.Helper()
	d := newDuo(t, roomyHello, changes...)
	d.path(30*time.Millisecond, sched.Primary)
	d.settle()
	return d
}

// twoPaths is onePath with a second one, of 40 ms.
func twoPaths(t *testing.T, changes ...func(*Config)) *duo {
	t.Helper()
	d := newDuo(t, roomyHello, changes...)
	d.path(30*time.Millisecond, sched.Primary)
	d.path(40*time.Millisecond, sched.Primary)
	d.settle()
	return d
}

// poll sends what a side has for a path and returns the records.
func (d *duo) poll(side, path int) (recs [][]byte) {
	d.t.Helper()
	sf := d.paths[path][side]
	for len(recs) < 10_000 {
		can := d.sides[side].CanSend(sf)
		rec, ok := d.sides[side].PollSend(d.now, sf, nil)
		if !ok {
			d.wires[path][side] = append(d.wires[path][side], recs...)
			return recs
		}
		if !can {
			d.t.Fatalf("PollSend gave %s after CanSend said no", d.text(side, rec))
		}
		recs = append(recs, rec)
	}
	d.t.Fatalf("PollSend gives records without end, the last %s", d.text(side, recs[len(recs)-1]))
	return nil
}

// deliver hands over up to n records that a side sent on a path; n < 0: all.
func (d *duo) deliver(side, path, n int) (delivered int, err error) {
	w := &d.wires[path][side]
	for len(*w) > 0 && n != 0 && err == nil {
		rec := (*w)[0]
		*w = (*w)[1:]
		err = d.hand(1-side, path, rec)
		delivered++
		n--
	}
	return delivered, err
}

// hand gives a record to a side.
func (d *duo) hand(side, path int, rec []byte) error {
	h, err := wire.ParseHeader(rec)
	if err != nil {
		return err
	}
	return d.give(side, path, rec[wire.HeaderLen:][:h.OptionLen], rec[wire.HeaderLen+h.OptionLen:])
}

// give gives options and payload to a side.
func (d *duo) give(side, path int, opts, payload []byte) error {
	var buf *bufpool.Buf
	if len(payload) > 0 {
		buf = bufpool.Get(len(payload))
		copy(buf.B, payload)
	}
	return d.sides[side].HandleRecord(d.now, d.paths[path][side], opts, buf)
}

// settle exchanges records until none are left; nothing may go wrong.
func (d *duo) settle() {
	d.t.Helper()
	for moved := true; moved; {
		moved = false
		for path := range d.paths {
			for side := range d.sides {
				if d.paths[path][side].removed {
					continue
				}
				d.poll(side, path)
				n, err := d.deliver(side, path, -1)
				if err != nil {
					d.t.Fatalf("deliver: %v", err)
				}
				moved = moved || n > 0
			}
		}
	}
	d.check()
}

// rest exchanges records and lets what is delayed come, until both sides are at rest.
func (d *duo) rest() {
	d.t.Helper()
	for range 3 {
		d.settle()
		d.wait(ackDelay + ms)
	}
	d.settle()
}

// wait lets time pass, with timers but without records.
func (d *duo) wait(span time.Duration) {
	d.t.Helper()
	end := d.now + span
	for range 10_000 {
		next := end
		for _, s := range d.sides {
			if at := s.Deadline(); at != 0 {
				next = min(next, max(at, d.now))
			}
		}
		d.now = next
		for _, s := range d.sides {
			if at := s.Deadline(); at != 0 && at <= d.now {
				s.HandleTimer(d.now)
			}
		}
		if next == end {
			return
		}
	}
	d.t.Fatalf("timers never end: %v, deadlines %v and %v", d.now, d.sides[client].Deadline(), d.sides[egress].Deadline())
}

// check asks both sessions' invariants.
func (d *duo) check() {
	d.t.Helper()
	for i, s := range d.sides {
		if err := s.invariants(); err != "" {
			d.t.Fatalf("side %d: %s", i, err)
		}
	}
}

// open opens a stream, sends some octets on it, and returns both ends.
func (d *duo) open(side, n int) (near, far *Stream) {
	d.t.Helper()
	near, err := d.sides[side].OpenStream(d.now)
	if err != nil {
		d.t.Fatalf("OpenStream: %v", err)
	}
	put(near, n)
	if n == 0 {
		return near, nil
	}
	d.settle()
	if far = d.sides[1-side].streams[near.id]; far == nil {
		d.t.Fatalf("stream %d is not known to the peer", near.id)
	}
	return near, far
}

// put writes n octets, more than there may be room for.
func put(st *Stream, n int) {
	for ; n > 0; n -= 16 << 10 {
		buf := bufpool.Get(min(n, 16<<10))
		copy(buf.B, pattern(st.id, st.s.cfg.Client, st.out.buf.end.Sub(st.s.firstOut()), len(buf.B)))
		st.Append(buf)
	}
}

// take reads all there is and returns how much that was.
func take(t *testing.T, now Instant, st *Stream) (n int) {
	t.Helper()
	for buf := st.Next(); buf != nil; buf = st.Next() {
		at := st.in.consumed.Sub(st.s.firstIn())
		if string(buf.B) != string(pattern(st.id, !st.s.cfg.Client, at, len(buf.B))) {
			t.Fatalf("stream %d: wrong octets at %d+%d", st.id, at, len(buf.B))
		}
		n += len(buf.B)
		st.Consumed(now, len(buf.B))
		buf.Free()
	}
	return n
}

// events returns what a side has to tell, as text.
func (d *duo) events(side int) (text []string) {
	for _, e := range d.sides[side].Events() {
		name := [...]string{"opened", "readable", "writable", "silent", "state", "address", "withdrawn", "datagram", "leaving", "closed"}[e.Kind]
		switch {
		case e.Stream != nil:
			name += fmt.Sprintf(" stream %d", e.Stream.id)
		case e.Kind == EventState:
			name += fmt.Sprintf(" path %d %v %v", d.pathOf(side, e.Subflow), e.Subflow.state, e.Subflow.Role())
		case e.Subflow != nil:
			name += fmt.Sprintf(" path %d", d.pathOf(side, e.Subflow))
		case e.Err != nil:
			name += ": " + e.Err.Error()
		}
		text = append(text, name)
	}
	return text
}

func (d *duo) pathOf(side int, sf *Subflow) int {
	for i, p := range d.paths {
		if p[side] == sf {
			return i
		}
	}
	return -1
}

// wantSubflowError fails unless err ends the subflow for the given reason.
func wantSubflowError(t *testing.T, err error, reason option.Reason) {
	t.Helper()
	var e *SubflowError
	if !errors.As(err, &e) || e.Reason != reason {
		t.Errorf("got %v (%T), want a *SubflowError for %v", err, err, reason)
	}
}

// text shows a record that a side sent, data sequence numbers counted from the first octet of a stream.
func (d *duo) text(side int, rec []byte) string {
	h, err := wire.ParseHeader(rec)
	if err != nil {
		return err.Error()
	}
	s := d.sides[side]
	out, opts := []string{}, rec[wire.HeaderLen:][:h.OptionLen]
	for len(opts) > 0 {
		raw, rest, err := option.Next(opts)
		if err != nil {
			return err.Error()
		}
		if opts = rest; raw.Kind == option.Kind {
			out = append(out, optionText(raw, s.firstOut(), s.firstIn()))
		}
	}
	if h.PayloadLen > 0 {
		out = append(out, fmt.Sprintf("| %d octets", h.PayloadLen))
	}
	return strings.Join(out, " ")
}

func optionText(raw option.Raw, firstOut, firstIn seq.DSN) string {
	switch raw.Subtype {
	case option.SubtypeDSS:
		o, err := option.ParseDSS(raw.Bytes)
		if err != nil {
			return err.Error()
		}
		text := []string{}
		if o.HasAck {
			text = append(text, fmt.Sprintf("ack=%d", seq.DSN(o.DataACK).Sub(firstIn)))
		}
		if o.HasMap {
			text = append(text, fmt.Sprintf("dsn=%d ssn=%d len=%d", seq.DSN(o.DSN).Sub(firstOut), o.SSN, o.Length))
		}
		if o.DataFIN {
			text = append(text, "fin")
		}
		return "DSS(" + strings.Join(text, " ") + ")"
	case option.SubtypePrivate:
		return privateText(raw.Bytes, firstIn)
	case option.SubtypePrio:
		o, _ := option.ParsePrio(raw.Bytes)
		return fmt.Sprintf("MP_PRIO(backup=%v)", o.Backup)
	case option.SubtypeAddAddr:
		o, _ := option.ParseAddAddr(raw.Bytes, Version)
		return fmt.Sprintf("ADD_ADDR(id=%d %v:%d echo=%v)", o.ID, o.Addr, o.Port, o.Echo)
	case option.SubtypeRemoveAddr:
		o, _ := option.ParseRemoveAddr(raw.Bytes)
		return fmt.Sprintf("REMOVE_ADDR(%v)", o.IDs)
	default:
		return raw.Subtype.String()
	}
}

func privateText(b []byte, firstIn seq.DSN) string {
	p, _, err := wire.TypeOf(b)
	if err != nil {
		return err.Error()
	}
	switch p {
	case wire.PrivStream:
		return fmt.Sprintf("stream(%d)", wire.Value32(b))
	case wire.PrivCredit:
		return fmt.Sprintf("credit(%d new=%v)", seq.DSN(wire.Value64(b)).Sub(firstIn), b[3] == wire.CreditNew)
	case wire.PrivSessionCredit:
		return fmt.Sprintf("session-credit(%d)", wire.Value64(b))
	case wire.PrivStreamsCredit:
		return fmt.Sprintf("streams-credit(%d)", wire.Value32(b))
	case wire.PrivRanges:
		l := wire.ParseRanges(b)
		text := []string{}
		for i := range l.N {
			text = append(text, fmt.Sprintf("%d+%d", seq.DSN(l.Start[i]).Sub(firstIn), l.Length[i]))
		}
		return "ranges(" + strings.Join(text, " ") + ")"
	case wire.PrivProbe:
		return fmt.Sprintf("probe(%d)", wire.Value32(b))
	case wire.PrivReport:
		r := wire.ParseReport(b)
		return fmt.Sprintf("report(%d after %v)", r.Records, time.Duration(r.DelayMicros)*time.Microsecond)
	case wire.PrivStatus:
		st := wire.ParseStatus(b)
		return fmt.Sprintf("status(%d is %d)", st.AddrID, st.State)
	case wire.PrivReset:
		return fmt.Sprintf("reset(code=%d both=%v)", wire.Value32(b), b[3]&wire.ResetBoth != 0)
	case wire.PrivStop:
		return "stop"
	case wire.PrivGone:
		return "gone"
	case wire.PrivDatagram:
		return fmt.Sprintf("datagram(%d)", wire.Value64(b))
	default:
		return fmt.Sprintf("private(%d)", p)
	}
}

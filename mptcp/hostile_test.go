package mptcp

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mpsocks/mpsocks/internal/netsim"
	"github.com/mpsocks/mpsocks/mptcp/internal/key"
	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

// hostile is a client that knows the protocol and keeps to it only as far as it likes: it reports what comes, so that its path seems well.
type hostile struct {
	t      *testing.T
	c      net.Conn
	sf     *subflow
	secret key.Secret
	acks   bool // also acknowledges it
}

// intrude has a hostile client open a session, and on it a stream. It returns the responder's end of that.
func intrude(t *testing.T, l *Listener, hello wire.Hello, acks bool) (*hostile, *Stream) {
	t.Helper()
	c, _ := knock(t, l, netsim.NewPath("h", wan), "hostile")
	h := &hostile{t: t, c: c, sf: newSubflow(carrier(c)), acks: acks}
	h.secret = h.sf.openByHand(t, hello)
	first := h.secret.Local.IDSN(proto.Version) + 1
	h.say([]byte("hello"), wire.Append32(nil, wire.PrivStream, 0), option.DSS{HasMap: true, DSN64: true, DSN: uint64(first), SSN: 1, Length: 5}.Append(nil))
	s, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.AcceptStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(st, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	return h, st
}

// openByHand runs MP_CAPABLE.
func (sf *subflow) openByHand(t *testing.T, hello wire.Hello) key.Secret {
	t.Helper()
	o := proto.NewOpening(proto.OpeningConfig{Key: key.Key(random()), Hello: hello, Reliable: true})
	f := o.Begin(time.Second, proto.FlowSpec{Binding: sf.carrier.Binding, Version: proto.Version})
	for {
		switch step := f.Next(time.Second); step.Kind {
		case proto.StepSend:
			sf.send(step.Record)
		case proto.StepRead:
			opts, err := sf.expect()
			if err == nil {
				err = f.Handle(time.Second, opts)
			}
			if err != nil {
				t.Fatal(err)
			}
		default:
			secret, _, _ := o.Agreed()
			return secret
		}
	}
}

// say sends a record.
func (h *hostile) say(payload []byte, options ...[]byte) {
	b := wire.Begin(nil)
	for _, o := range options {
		b.Buf = append(b.Buf, o...)
	}
	b.EndOptions()
	b.Buf = append(b.Buf, payload...)
	h.c.Write(b.Finish())
}

// listen reports every record until the connection ends, and acknowledges octets and ends if it does that.
func (h *hostile) listen() {
	opts := make([]byte, wire.MaxOptions)
	for n := uint64(1); ; n++ {
		head, payload, err := h.sf.readRecord(opts)
		if err != nil {
			return
		}
		payload.Free()
		out := wire.Report{Records: n}.Append(nil)
		for rest := opts[:head.OptionLen]; h.acks && len(rest) > 0; {
			var raw option.Raw
			if raw, rest, err = option.Next(rest); err != nil {
				h.t.Error(err)
				return
			}
			if raw.Kind == option.Kind && raw.Subtype == option.SubtypeDSS {
				d, _ := option.ParseDSS(raw.Bytes)
				out = wire.Append32(out, wire.PrivStream, 0)
				out = option.DSS{HasAck: true, Ack64: true, DataACK: d.DSN + uint64(d.Length)}.Append(out)
			}
		}
		h.say(nil, out)
	}
}

// A stream that is closed or reset here, and that the peer neither takes nor ends, is forgotten after some minutes, with all that it holds.
func TestPeerKeepsStream(t *testing.T) {
	for name, tc := range map[string]struct {
		credit uint64 // of the session
		acks   bool
	}{
		"gives no credit":     {0, false},
		"takes nothing":       {1 << 20, false},
		"takes all, ends not": {1 << 20, true},
	} {
		for _, end := range []func(*Stream) error{(*Stream).Close, (*Stream).Reset} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := NewListener(&Config{Logger: testLogger()})
					hello := (&Config{}).orDefault(0).hello(int(tc.credit))
					h, st := intrude(t, l, hello, tc.acks)
					go h.listen()
					if _, err := st.Write(make([]byte, 100<<10)); err != nil {
						t.Fatal(err)
					}
					time.Sleep(10 * time.Second)
					end(st)
					time.Sleep(lingerClose / 2)
					if n := st.s.Stats().Streams; n != 1 {
						t.Errorf("%d streams soon after the end, want it kept for a while", n)
					}
					time.Sleep(3 * lingerClose)
					st.s.mu.Lock()
					out, in := st.core.Buffered()
					st.s.mu.Unlock()
					if n := st.s.Stats().Streams; n != 0 || out != 0 || in != 0 {
						t.Errorf("%d streams with %d octets out and %d in after minutes, want none", n, out, in)
					}
					h.say(nil, wire.Append32(wire.Append32(nil, wire.PrivStream, 2), wire.PrivStop, 2)) // the session goes on
					next, err := st.s.AcceptStream(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					next.Reset()
					l.Close()
					h.c.Close()
				})
			})
		}
	}
}

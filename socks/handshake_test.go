package socks

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// countingWriter notes the writes made to it.
type countingWriter struct {
	bytes.Buffer
	writes int
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.writes++
	return w.Buffer.Write(p)
}

func TestFlight(t *testing.T) {
	tests := []struct {
		name string
		h    Handshake
		want string // hex
	}{
		{
			"name and payload",
			Handshake{Target: mustTarget(t, "a.b:80"), Payload: []byte("GET")},
			"050100" + "05010003" + "03612e62" + "0050" + "474554",
		},
		{
			"address",
			Handshake{Target: mustTarget(t, "1.2.3.4:258")},
			"050100" + "05010001" + "01020304" + "0102",
		},
		{
			"password",
			Handshake{Target: mustTarget(t, "[::1]:1"), Username: "me", Password: "pw!"},
			"050102" + "01026d6503707721" + "05010004" + "00000000000000000000000000000001" + "0001",
		},
		{
			"empty password",
			Handshake{Target: mustTarget(t, "1.2.3.4:1"), Username: "me"},
			"050102" + "01026d6500" + "05010001" + "01020304" + "0001",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var w countingWriter
			if err := tt.h.Send(&w); err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(w.Bytes()); got != tt.want || w.writes != 1 {
				t.Errorf("sent %s in %d writes, want %s in one", got, w.writes, tt.want)
			}
		})
	}
}

func TestFlightCannotBeMade(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, h := range []Handshake{
		{},
		{Target: mustTarget(t, "a:1"), Username: long},
		{Target: mustTarget(t, "a:1"), Username: "u", Password: long},
	} {
		if err := h.Send(io.Discard); err == nil {
			t.Errorf("flight for %v, user of %d bytes, was sent", h.Target, len(h.Username))
		}
	}
}

type receiveCase struct {
	name  string
	user  string
	in    string // hex
	bound string
	reply Reply // if it fails with a *ReplyError
	err   error // if it fails otherwise
}

var receiveCases = []receiveCase{
	{name: "v4", in: "0500" + "05000001" + "010203041f90", bound: "1.2.3.4:8080"},
	{name: "v6", in: "0500" + "05000004" + "20010db8000000000000000000000001" + "01bb", bound: "[2001:db8::1]:443"},
	{name: "mapped", in: "0500" + "05000004" + "00000000000000000000ffff01020304" + "0001", bound: "1.2.3.4:1"},
	{name: "name", in: "0500" + "05000003" + "03612e62" + "0050"},
	{name: "name of four bytes", in: "0500" + "05000003" + "04612e6263" + "0050"},
	{name: "empty name", in: "0500" + "05000003" + "00" + "0050"},
	{name: "zeros", in: "0500" + "05000001" + "000000000000", bound: "0.0.0.0:0"},
	{name: "reserved byte", in: "0500" + "0500ff01" + "010203040001", bound: "1.2.3.4:1"},
	{name: "password", user: "u", in: "0502" + "0100" + "05000001" + "010203040001", bound: "1.2.3.4:1"},
	{name: "refused", in: "0500" + "05050001" + "000000000000", reply: ReplyConnectionRefused},
	{name: "refused, cut short", in: "0500" + "05040001", reply: ReplyHostUnreachable},
	{name: "unknown code", in: "0500" + "05f10001" + "000000000000", reply: ReplyGeneralFailure},
	{name: "no method", in: "05ff", reply: ReplyGeneralFailure},
	{name: "method not offered", in: "0502", reply: ReplyGeneralFailure},
	{name: "other version", in: "0400", reply: ReplyGeneralFailure},
	{name: "http", in: hex.EncodeToString([]byte("HTTP/1.1 400")), reply: ReplyGeneralFailure},
	{name: "other version in reply", in: "0500" + "04000001", reply: ReplyGeneralFailure},
	{name: "unknown address type", in: "0500" + "05000002", reply: ReplyGeneralFailure},
	{name: "wrong password", user: "u", in: "0502" + "0101", reply: ReplyGeneralFailure},
	{name: "other auth version", user: "u", in: "0502" + "0500", reply: ReplyGeneralFailure},
	{name: "nothing", in: "", err: io.ErrUnexpectedEOF},
	{name: "cut in method", in: "05", err: io.ErrUnexpectedEOF},
	{name: "cut in reply", in: "0500" + "0500", err: io.ErrUnexpectedEOF},
	{name: "cut in address", in: "0500" + "05000001" + "0102", err: io.ErrUnexpectedEOF},
	{name: "cut in name", in: "0500" + "05000003", err: io.ErrUnexpectedEOF},
	{name: "cut in status", user: "u", in: "0502" + "01", err: io.ErrUnexpectedEOF},
}

func TestReceive(t *testing.T) {
	for _, tt := range receiveCases {
		t.Run(tt.name, func(t *testing.T) {
			in, err := hex.DecodeString(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if tt.err == nil && tt.reply == 0 {
				in = append(in, "payload"...)
			}
			for split := range len(in) + 1 {
				r := io.MultiReader(bytes.NewReader(in[:split]), bytes.NewReader(in[split:]))
				tt.check(t, r)
			}
			tt.check(t, iotest.OneByteReader(bytes.NewReader(in)))
		})
	}
}

// check runs one case; the bytes behind a success must be left where they are.
func (tt *receiveCase) check(t *testing.T, r io.Reader) {
	t.Helper()
	h := Handshake{Target: Target{name: "a", port: 1}, Username: tt.user}
	bound, err := h.Receive(r)
	var reply *ReplyError
	switch {
	case tt.err != nil:
		if !errors.Is(err, tt.err) {
			t.Errorf("error %v, want %v", err, tt.err)
		}
		return
	case tt.reply != 0:
		if !errors.As(err, &reply) || reply.Reply != tt.reply {
			t.Errorf("error %v, want reply %v", err, tt.reply)
		}
		return
	case err != nil:
		t.Errorf("error %v", err)
		return
	}
	if tt.bound != "" && bound.String() != tt.bound || tt.bound == "" && bound.IsValid() {
		t.Errorf("bound to %v, want %q", bound, tt.bound)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "payload" {
		t.Errorf("left %q to be read, want the payload", rest)
	}
}

// serverScript is the other side of a handshake: it reads and writes in turn.
func serverScript(t *testing.T, c net.Conn, steps ...string) {
	for i, step := range steps {
		b, err := hex.DecodeString(step)
		if err != nil {
			t.Error(err)
			return
		}
		if i%2 == 1 {
			if _, err := c.Write(b); err != nil {
				t.Errorf("server, step %d: %v", i, err)
			}
			continue
		}
		got := make([]byte, len(b))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, b) {
			t.Errorf("server, step %d: got %x, %v; want %x", i, got, err, b)
		}
	}
}

// A server that reads one message at a time, with nothing behind it, is served by
// the stepwise form; the default form sends all before it is asked.
func TestDoStepwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		go serverScript(t, far, "050102", "0502", "0101750170", "0100", "0501000301610001", "05000001010203040001", "6869")
		h := Handshake{Target: mustTarget(t, "a:1"), Username: "u", Password: "p", Payload: []byte("hi"), Stepwise: true}
		bound, err := h.Do(t.Context(), near)
		if err != nil || bound != netip.MustParseAddrPort("1.2.3.4:1") {
			t.Errorf("Do = %v, %v", bound, err)
		}
	})
}

func TestDoStepwiseRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		go serverScript(t, far, "050100", "05ff")
		h := Handshake{Target: mustTarget(t, "a:1"), Stepwise: true}
		if _, err := h.Do(t.Context(), near); replyIn(err) != ReplyGeneralFailure {
			t.Errorf("Do = %v, want a general failure", err)
		}
	})
}

func TestDoEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		go serverScript(t, far, "050100"+"0501000301610001")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err := (&Handshake{Target: mustTarget(t, "a:1")}).Do(ctx, near)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("Do = %v after %v, want the deadline after 3s", err, time.Since(start))
		}
	})
}

func FuzzReceive(f *testing.F) {
	for _, tt := range receiveCases {
		in, _ := hex.DecodeString(tt.in)
		f.Add(in, tt.user != "")
	}
	f.Fuzz(func(t *testing.T, in []byte, auth bool) {
		h := Handshake{Target: Target{name: "a", port: 1}}
		if auth {
			h.Username = "u"
		}
		whole := bytes.NewReader(in)
		bound, err := h.Receive(whole)
		slow := bytes.NewReader(in)
		bound2, err2 := h.Receive(iotest.OneByteReader(slow))
		if bound != bound2 || (err == nil) != (err2 == nil) || ReplyFor(err) != ReplyFor(err2) {
			t.Errorf("%x: at once %v, %v; byte by byte %v, %v", in, bound, err, bound2, err2)
		}
		if err == nil && whole.Len() != slow.Len() {
			t.Errorf("%x: at once %d bytes are left, byte by byte %d", in, whole.Len(), slow.Len())
		}
		if read := len(in) - whole.Len(); read > 4+4+1+255+2 {
			t.Errorf("%x: %d bytes were read", in, read)
		}
	})
}

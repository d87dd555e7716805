package upstream

import (
	"errors"
	"io"
	"testing"
)

func TestQuietAdmits(t *testing.T) {
	hello := []byte{22, 3, 3, 0, 2, 1, 2}
	ccs := []byte{20, 3, 3, 0, 1, 1}
	secret := []byte{23, 3, 3, 0, 3, 9, 9, 9}
	alert := []byte{21, 3, 3, 0, 2, 2, 40}
	join := func(parts ...[]byte) (b []byte) {
		for _, p := range parts {
			b = append(b, p...)
		}
		return b
	}
	c := &rawConn{}
	for i, x := range []struct {
		b    []byte
		want bool
	}{
		{alert, false},
		{join(hello, ccs), true}, // a request for another hello (RFC 8446, 4.1.4)
		{alert, false},
		{join(hello, ccs, secret, secret), true},
		{secret, false}, // an alert that only looks like data
		{alert, false},
	} {
		if got := c.admits(x.b); got != x.want {
			t.Errorf("write %d %x: admitted %v, want %v", i, x.b, got, x.want)
		}
	}
	for _, b := range [][]byte{nil, {22}, {22, 3, 3, 255, 255}} {
		(&rawConn{}).admits(b) // ends, whatever the length says
	}
}

func TestUnannouncedEndIsAnError(t *testing.T) {
	for _, fresh := range []bool{false, true} {
		c, s := tcpPair(t)
		raw := &rawConn{TCPConn: c}
		raw.fresh.Store(fresh)
		s.Close()
		_, err := raw.Read(make([]byte, 1))
		if !errors.Is(err, errTruncated) || errors.Is(err, io.EOF) || errors.Is(err, ErrNotAdmitted) != fresh {
			t.Errorf("end of a connection, fresh %v: %v", fresh, err)
		}
	}
	c, s := tcpPair(t)
	raw := &rawConn{TCPConn: c}
	raw.fresh.Store(true)
	s.Write([]byte("x"))
	s.Close()
	if _, err := io.ReadFull(raw, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Read(make([]byte, 1)); errors.Is(err, ErrNotAdmitted) {
		t.Errorf("end of a connection that was in use: %v", err)
	}
}

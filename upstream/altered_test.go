package upstream

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/mpsocks/mpsocks/mptcp"
)

func TestAlteredErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"end":              {io.EOF, false},
		"reset":            {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, false},
		"bad record":       {&net.OpError{Op: "local error", Err: tls.AlertError(20)}, true},
		"they say so":      {&net.OpError{Op: "remote error", Err: tls.AlertError(20)}, true},
		"they are leaving": {&net.OpError{Op: "remote error", Err: tls.AlertError(90)}, false},
		"no record":        {tls.RecordHeaderError{Msg: "x"}, true},
	} {
		got := altered(tc.err)
		if errors.Is(got, mptcp.ErrAltered) != tc.want || !tc.want && got != tc.err {
			t.Errorf("%s: %v, want altered %v", name, got, tc.want)
		}
	}
	if altered(nil) != nil {
		t.Error("no error became one")
	}
}

// flipper passes connections on and, when told to, changes an octet in what comes back.
func flipper(t *testing.T, to string, flip *atomic.Bool) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go flipBetween(c, to, flip)
		}
	}()
	return ln.Addr().String()
}

func flipBetween(c net.Conn, to string, flip *atomic.Bool) {
	defer c.Close()
	e, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer e.Close()
	go func() {
		_, _ = io.Copy(e, c)
		_ = e.Close()
	}()
	buf := make([]byte, 4096)
	for {
		n, err := e.Read(buf)
		if n > 0 && flip.Load() {
			buf[n/2] ^= 0x40
		}
		if _, werr := c.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// TestAlteredPathIsQuarantined has a path change what it carries: no octet of that
// arrives, and the path says what it is.
func TestAlteredPathIsQuarantined(t *testing.T) {
	id := newIdentity(t)
	e, addr := startEgress(t, []Identity{id}, func(cfg *EgressConfig) { cfg.Handle = handler(hashing) })
	var flip atomic.Bool
	bad := flipper(t, addr, &flip)
	c := startClient(t, id, e, func(cfg *ClientConfig) {
		cfg.Paths = loopbackPaths(2)
		cfg.Paths[1].Egress = []string{bad}
	})
	second := func() PathStatus { return c.Status().Paths[1] }
	eventually(t, "both up", func() bool { return second().State == stateUp && c.Status().Paths[0].State == stateUp })
	flip.Store(true)
	eventually(t, "quarantine", func() bool {
		if err := exchange(c, 7, 1<<20); err != nil {
			t.Fatal(err)
		}
		return second().State == "quarantine"
	})
	t.Log(second().Reason)
	flip.Store(false)
	if err := exchange(c, 8, 1<<20); err != nil {
		t.Fatal(err)
	}
}

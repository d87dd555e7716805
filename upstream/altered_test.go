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

// flipper passes connections on and, when told to, changes an octet in what goes up or comes back.
func flipper(t *testing.T, to string, up bool, flip *atomic.Bool) string {
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
			go flipBetween(c, to, up, flip)
		}
	}()
	return ln.Addr().String()
}

func flipBetween(c net.Conn, to string, up bool, flip *atomic.Bool) {
	e, err := net.Dial("tcp", to)
	if err != nil {
		_ = c.Close()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		pass(e, c, up, flip)
	}()
	pass(c, e, !up, flip)
	<-done
	_ = c.Close()
	_ = e.Close()
}

// pass copies one way, the end included, and changes an octet of each piece if it may and is told to.
func pass(to, from net.Conn, may bool, flip *atomic.Bool) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if n > 0 && may && flip.Load() {
			buf[n/2] ^= 0x40
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			_ = to.(*net.TCPConn).CloseWrite()
			return
		}
	}
}

// TestAlteredPathIsQuarantined has a path change what it carries: no octet of that
// arrives, and the path says what it is, whichever end has noticed.
func TestAlteredPathIsQuarantined(t *testing.T) {
	for name, up := range map[string]bool{"what goes up": true, "what comes down": false} {
		t.Run(name, func(t *testing.T) { testAlteredPath(t, up) })
	}
}

func testAlteredPath(t *testing.T, up bool) {
	id := newIdentity(t)
	e, addr := startEgress(t, []Identity{id}, func(cfg *EgressConfig) { cfg.Handle = handler(hashing) })
	var flip atomic.Bool
	bad := flipper(t, addr, up, &flip)
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

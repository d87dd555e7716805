package socks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"syscall"
	"testing"
	"time"
)

// pathed is a connection that knows the paths it uses, and is no plain socket.
type pathed struct{ net.Conn }

func (pathed) PathNames() []string { return []string{"cable", "phone"} }

func (p pathed) CloseWrite() error { return p.Conn.(*net.TCPConn).CloseWrite() }
func (p pathed) NetConn() net.Conn { return p.Conn }

// inBoth runs a test with a front and an egress whose ledgers can be looked at.
func inBoth(t *testing.T, test func(t *testing.T, f *Front, e *Egress, addr string)) {
	for name, optimistic := range modes {
		t.Run(name, func(t *testing.T) {
			var e *Egress
			var f *Front
			dial := startEgress(t, loopbackAllowed(t), func(x *Egress) { e = x })
			addr := startFront(t, FrontConfig{Optimistic: optimistic, Dial: func(ctx context.Context) (net.Conn, error) {
				c, err := dial(ctx)
				if err != nil {
					return nil, err
				}
				return pathed{c}, nil
			}}, func(x *Front) { f = x })
			test(t, f, e, addr)
		})
	}
}

// awaitBytes waits until so many bytes are counted: that may be a moment after they have arrived.
func awaitBytes(t *testing.T, f *Front, up, down int64) {
	t.Helper()
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(time.Millisecond) {
		if got := f.Totals(); int64(got.Up) >= up && int64(got.Down) >= down {
			return
		}
	}
	t.Fatalf("%+v are counted, want %d up and %d down", f.Totals(), up, down)
}

func TestLedgerShowsWhatIsOpen(t *testing.T) {
	inBoth(t, func(t *testing.T, f *Front, e *Egress, addr string) {
		target := serveEach(t, echo)
		c, err := socksConnect(t, addr, target)
		if err != nil {
			t.Fatal(err)
		}
		mustWrite(t, c, []byte("hello"))
		wantRead(t, c, []byte("hello"))

		awaitBytes(t, f, 5, 5)
		list := f.Conns()
		if len(list) != 1 {
			t.Fatalf("the front shows %+v, want one connection", list)
		}
		got := list[0]
		want := ConnStatus{
			ID: 1, Client: c.LocalAddr().String(), Kind: "connect", Target: target, Paths: []string{"cable", "phone"},
			Up: 5, Down: 5, Since: got.Since,
		}
		if !reflect.DeepEqual(got, want) || got.Since.IsZero() {
			t.Errorf("the front shows %+v, want %+v", got, want)
		}
		if at := e.Conns(); len(at) != 1 || at[0].Client != "tester" || at[0].Target != target {
			t.Errorf("the egress shows %+v, want one connection of tester to %s", at, target)
		}
		if got := f.Totals(); got.Open != 1 || got.Opened != 1 || got.Up != 5 || got.Down != 5 {
			t.Errorf("the front's totals are %+v, want one connection of 5 bytes each way", got)
		}
		_ = c.CloseWrite()
		wantEnd(t, c)
	})
}

// A connection that the owner of the machine ends is reset at both ends.
func TestLedgerEnds(t *testing.T) {
	inBoth(t, func(t *testing.T, f *Front, _ *Egress, addr string) {
		gone := make(chan error, 1)
		target := serveEach(t, func(c net.Conn) {
			_, err := io.Copy(c, c)
			gone <- err
		})
		c, err := socksConnect(t, addr, target)
		if err != nil {
			t.Fatal(err)
		}
		mustWrite(t, c, []byte("hello"))
		wantRead(t, c, []byte("hello"))
		if f.EndConn(2) {
			t.Error("EndConn of a connection that is not there = true")
		}
		if !f.EndConn(f.Conns()[0].ID) {
			t.Error("EndConn = false, want true")
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the program reads %v, want a reset", err)
		}
		if err := <-gone; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the target reads %v, want a reset", err)
		}
	})
}

// What nothing came of is counted by its reason, at both ends.
func TestLedgerCountsFailures(t *testing.T) {
	var e *Egress
	var f *Front
	addr := startFront(t, FrontConfig{Dial: startEgress(t, loopbackAllowed(t), func(x *Egress) { e = x })}, func(x *Front) { f = x })
	for range 2 {
		if _, err := socksConnect(t, addr, closedPort(t)); replyIn(err) != ReplyConnectionRefused {
			t.Fatalf("connect = %v, want refused", err)
		}
	}
	if _, err := socksConnect(t, addr, "192.168.0.1:80"); replyIn(err) != ReplyNotAllowed {
		t.Fatalf("connect = %v, want not allowed", err)
	}
	want := map[string]uint64{"refused": 2, "not-allowed": 1}
	if got := f.Totals(); got.Opened != 3 || !reflect.DeepEqual(got.Failed, want) {
		t.Errorf("the front's totals are %+v, want 3 with %v", got, want)
	}
	if got := e.Totals()["tester"]; got.Opened != 3 || !reflect.DeepEqual(got.Failed, want) {
		t.Errorf("the egress's totals are %+v, want 3 with %v", got, want)
	}
}

// Plain HTTP is shown with the last target; its bytes are those of the program's connection.
func TestLedgerPlainHTTP(t *testing.T) {
	var f *Front
	target := serveEach(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1000))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		_, _ = c.Read(make([]byte, 1))
	})
	addr := startFront(t, FrontConfig{Dial: startEgress(t, loopbackAllowed(t))}, func(x *Front) { f = x })
	c := mustDial(t, addr)
	asked, _ := fmt.Fprintf(c, "GET http://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n", target, target)
	answer := make([]byte, 0, 1000)
	for string(answer[max(len(answer)-2, 0):]) != "ok" {
		n, err := c.Read(answer[len(answer):cap(answer)])
		if err != nil {
			t.Fatalf("read %q, %v", answer, err)
		}
		answer = answer[:len(answer)+n]
	}
	awaitBytes(t, f, int64(asked-1), int64(len(answer)))
	list := f.Conns()
	if len(list) != 1 || list[0].Kind != "http" || list[0].Target != target || list[0].Down != int64(len(answer)) || list[0].Up < int64(asked-1) {
		t.Errorf("the front shows %+v, want http to %s, %d bytes up and %d down", list, target, asked, len(answer))
	}
}

// Every reply has a word of its own to be counted by.
func TestReplySlugs(t *testing.T) {
	seen := make(map[string]bool)
	for r := range replyTexts {
		s := Reply(r).slug()
		if s == "" || seen[s] {
			t.Errorf("reply %d has the word %q, which is not its own", r, s)
		}
		seen[s] = true
	}
	if got := Reply(0x42).slug(); got != "unknown" {
		t.Errorf("a reply that nobody knows is %q", got)
	}
}

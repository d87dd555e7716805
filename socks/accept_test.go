package socks

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// moodyListener gives a connection or an error at each call.
type moodyListener struct {
	pipeListener
	script    []any
	deadlines int
}

func (l *moodyListener) Accept() (net.Conn, error) {
	if len(l.script) == 0 {
		<-l.done
		return nil, net.ErrClosed
	}
	next := l.script[0]
	l.script = l.script[1:]
	if err, ok := next.(error); ok {
		return nil, err
	}
	return next.(net.Conn), nil
}

func (l *moodyListener) SetDeadline(time.Time) error { l.deadlines++; return nil }

func acceptError(errno syscall.Errno) error {
	return &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", errno)}
}

type logBuffer struct{ strings.Builder }

func TestAcceptorGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, refused, last := &scriptConn{}, &scriptConn{}, &scriptConn{}
		l := &moodyListener{pipeListener: pipeListener{done: make(chan struct{})}, script: []any{
			first, acceptError(syscall.EMFILE), refused, acceptError(syscall.ECONNABORTED), errors.New("odd"), last,
		}}
		var log logBuffer
		quit := make(chan struct{})
		a := acceptor{ln: l, log: slog.New(slog.NewTextHandler(&log, nil)), quit: quit}
		var taken []net.Conn
		ended := make(chan error)
		go func() { ended <- a.run(func(c net.Conn) { taken = append(taken, c) }) }()
		time.Sleep(time.Minute)
		l.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("run = %v", err)
		}
		if len(taken) != 2 || taken[0] != net.Conn(first) || taken[1] != net.Conn(last) {
			t.Errorf("took %v, want the first and the last", taken)
		}
		if !refused.closed || l.deadlines != 2 {
			t.Errorf("the client met without descriptors: closed %v, deadlines set %d times", refused.closed, l.deadlines)
		}
		if n := strings.Count(log.String(), "cannot accept"); n != 1 {
			t.Errorf("%d lines about errors within a moment, want 1:\n%s", n, log.String())
		}
	})
}

// Errors that never end cost two attempts a second at most.
func TestAcceptorDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var script []any
		for range 1000 {
			script = append(script, acceptError(syscall.ENOBUFS))
		}
		l := &moodyListener{pipeListener: pipeListener{done: make(chan struct{})}, script: script}
		quit := make(chan struct{})
		a := acceptor{ln: l, log: slog.New(slog.DiscardHandler), quit: quit}
		ended := make(chan error)
		go func() { ended <- a.run(func(net.Conn) {}) }()
		time.Sleep(100 * time.Second)
		close(quit)
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("run = %v", err)
		}
		if tries := 1000 - len(l.script); tries > 210 {
			t.Errorf("%d attempts in 100 s", tries)
		}
	})
}

// Without descriptors and without clients those that are kept to refuse clients with are not given up: others would take them.
func TestAcceptorKeepsSpares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := &scriptConn{}
		none := acceptError(syscall.EMFILE)
		l := &moodyListener{pipeListener: pipeListener{done: make(chan struct{})}, script: []any{none, none, none, refused, none}}
		var held []int
		waits := []bool{false, false, true, false, false} // after the third attempt one waits, and no more behind it
		quit := make(chan struct{})
		a := &acceptor{ln: l, log: slog.New(slog.DiscardHandler), quit: quit}
		a.waiting = func() bool {
			held = append(held, len(a.spare))
			w := waits[0]
			waits = waits[1:]
			return w
		}
		ended := make(chan error)
		go func() { ended <- a.run(func(net.Conn) {}) }()
		time.Sleep(time.Minute)
		close(quit)
		l.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("run = %v", err)
		}
		if !refused.closed || l.deadlines != 2 {
			t.Errorf("the client that waited: closed %v, deadlines set %d times", refused.closed, l.deadlines)
		}
		// One less while a client is refused with it; back for the next.
		if got, want := fmt.Sprint(held), fmt.Sprint([]int{spares, spares, spares, spares - 1, spares}); got != want {
			t.Errorf("spares held when clients were looked for: %s, want %s", got, want)
		}
		if len(a.spare) > 0 {
			t.Errorf("%d spares are left", len(a.spare))
		}
	})
}

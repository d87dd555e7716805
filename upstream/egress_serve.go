package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
	"github.com/mpsocks/mpsocks/mptcp"
)

// resetter is a stream that can be broken off instead of ended.
type resetter interface{ Reset() error }

// serveSubflow gives a session's connection to the session it belongs to, and
// returns when the connection has ended.
func (e *Egress) serveSubflow(conn *tls.Conn, c *net.TCPConn, client ClientKey) {
	secret, err := binding(conn)
	if err != nil {
		_ = c.Close()
		return
	}
	_ = tcpsock.Of(c).SetNotSentLowat(notSentLowat)
	err = e.sessions.Handle(e.ctx, &mptcp.Carrier{Conn: sessionConn{conn}, TCP: c, Binding: secret}, client.Name)
	if err != nil {
		// The session has told what matters; what is left is clients that tried
		// several ways at once.
		e.log.Debug("subflow ended", "client", client.Name, "remote", c.RemoteAddr(), "err", err)
	}
}

// acceptSessions takes the sessions that subflows have started.
func (e *Egress) acceptSessions() {
	defer e.conns.Done()
	for {
		s, err := e.sessions.Accept(e.ctx)
		if err != nil {
			return
		}
		e.conns.Add(1) // above zero: this goroutine is counted
		go e.serveSession(s)
	}
}

// serveSession takes the session's streams until it ends.
func (e *Egress) serveSession(s *mptcp.Session) {
	defer e.conns.Done()
	l := &link{
		client: e.clientNamed(s.Peer()), transport: TransportMPTCP,
		end:    s.Abort,
		flush:  func(ctx context.Context) { _ = s.WaitIdle(ctx) },
		status: func() egressLink { return sessionLink(s) },
	}
	if !e.join(l) {
		s.Abort()
		<-s.Done()
		return
	}
	defer e.leave(l)
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	for {
		st, err := s.AcceptStream(ctx)
		if err != nil {
			break
		}
		if !e.beginStream() {
			_ = st.Reset()
			continue
		}
		go e.serveStream(ctx, st, l.client.Name, nil)
	}
	if e.ctx.Err() != nil {
		s.Abort()
	}
	<-s.Done()
}

// beginStream counts a stream, unless the egress is closing.
func (e *Egress) beginStream() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closing {
		e.streams.Add(1)
	}
	return !e.closing
}

// serveStream hands one stream over, closes it when it has been served, and calls
// after, if that is not nil.
func (e *Egress) serveStream(ctx context.Context, c net.Conn, client string, after func()) {
	var once sync.Once // a handler may panic behind its end
	e.handle(ctx, c, client, func(err error) {
		once.Do(func() {
			e.streamEnded(c, client, err)
			if after != nil {
				after()
			}
			e.streams.Done()
		})
	})
}

func (e *Egress) streamEnded(c net.Conn, client string, err error) {
	var broken *panicError
	if errors.As(err, &broken) {
		e.log.Error("stream handler panicked", "client", client, "err", err, "stack", string(broken.stack))
		if r, ok := c.(resetter); ok {
			_ = r.Reset()
		}
	} else if err != nil && !ended(err) {
		e.log.Debug("stream ended", "client", client, "err", err)
	}
	_ = c.Close()
}

// panicError is a panic of a handler, which must not take the other streams down.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

func (e *Egress) handle(ctx context.Context, c net.Conn, client string, done func(error)) {
	defer func() {
		if v := recover(); v != nil {
			done(&panicError{v, debug.Stack()})
		}
	}()
	e.cfg.Handle(ctx, c, client, done)
}

// ended reports whether err is one of the ways in which connections end every day.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// sessionLink is a session's part of Status. A path is named by the client and,
// behind it, by the session.
func sessionLink(s *mptcp.Session) egressLink {
	stats := s.Stats()
	out := egressLink{streams: stats.Streams, datagrams: &stats.Datagrams}
	for _, p := range stats.Paths {
		ps := pathStatus(p)
		ps.Name = s.Peer() + "/" + p.Name
		out.paths = append(out.paths, ps)
	}
	setShares(out.paths)
	return out
}

// clientNamed returns the client of that name, or nothing.
func (e *Egress) clientNamed(name string) ClientKey {
	for _, c := range e.Clients() {
		if c.Name == name {
			return c
		}
	}
	return ClientKey{Name: name}
}

package upstream

import (
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
)

const (
	// silentLimit is how long a client may keep a connection ready without using
	// it. His own limit is shorter (warmAge).
	silentLimit = 5 * time.Minute
	// maxSilent bounds how many of them a client may have. It is far above what
	// one keeps ready, because those that are just about to be used count too.
	maxSilent = 512
)

// loneLink is a connection that carries one stream, or will.
type loneLink struct {
	link
	conn   *net.TCPConn
	rx, tx atomic.Uint64
	silent atomic.Bool // no stream yet
}

func newLoneLink(c *net.TCPConn, client ClientKey) *loneLink {
	l := &loneLink{conn: c}
	l.silent.Store(true)
	l.link = link{client: client, transport: TransportTCP, end: func() { _ = tcpsock.Abort(c) }, status: l.describe, idle: l.silent.Load}
	return l
}

func (l *loneLink) describe() egressLink {
	p := PathStatus{
		Name: l.client.Name, State: stateUp, Role: RolePrimary, RTTms: rttOf(l.conn), Subflows: subflowsOf(l.conn),
		Local: l.conn.LocalAddr().String(), Remote: l.conn.RemoteAddr().String(), RxBytes: l.rx.Load(), TxBytes: l.tx.Load(),
	}
	if l.silent.Load() {
		p.State, p.Reason = stateStandby, "kept ready by the client"
		return egressLink{paths: []PathStatus{p}}
	}
	return egressLink{streams: 1, paths: []PathStatus{p}}
}

// serveLone serves the one stream that a connection of its own carries, when its
// first byte has come. Until then the client keeps the connection ready.
func (e *Egress) serveLone(conn *tls.Conn, c *net.TCPConn, client ClientKey) {
	l := newLoneLink(c, client)
	if !e.join(&l.link) {
		_ = tcpsock.Abort(c)
		return
	}
	defer e.leave(&l.link)
	s := newStreamConn(conn, c, &l.rx, &l.tx, func() {})
	if !e.awaitStream(s, client) || !e.beginStream() {
		_ = tcpsock.Abort(c)
		return
	}
	l.silent.Store(false)
	served := make(chan struct{})
	e.serveStream(e.ctx, s, client.Name, func() { close(served) })
	<-served
}

// awaitStream waits until the client makes use of the connection. One that is
// not wanted any more he resets, so that an end at once is a stream's.
func (e *Egress) awaitStream(s *streamConn, client ClientKey) bool {
	if e.countSilent(client, 1) > maxSilent {
		e.countSilent(client, -1)
		return false
	}
	defer e.countSilent(client, -1)
	err := s.await(silentLimit)
	return err == nil || err == io.EOF
}

// countSilent adds n to the number of connections that the client keeps ready,
// and returns it.
func (e *Egress) countSilent(client ClientKey, n int) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.silent[client.Key] += n
	n = e.silent[client.Key]
	if n == 0 {
		delete(e.silent, client.Key)
	}
	return n
}

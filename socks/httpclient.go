package socks

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// httpClient is one client of the forwarder: its connection, and the connections to targets that were made for it. These are nobody
// else's, because some targets let in whoever uses a connection on which somebody has once given a password (NTLM, Negotiate).
type httpClient struct {
	net.Conn
	account *account
	way     *http.Transport
	// patience is how long a client that has finished sending may wait for its answer; negative: for ever.
	patience time.Duration

	user   string              // who has given a password with the request
	routes *Routes             // by which the connections to targets were made
	answer http.ResponseWriter // of the request that is being forwarded: HTTP/1 has one at a time

	content *content // of that request; nil: none
	// owing is a client that has its answer and has not sent all of its content. The connection ends then: net/http would wait for the rest
	// without end, and take for a request what comes after that.
	owing atomic.Bool

	once  sync.Once
	ended chan struct{}

	mu      sync.Mutex
	stopped chan struct{} // closed while the read deadline lies in the past
}

type httpClientKey struct{}

func newHTTPClient(c net.Conn, a *account, way *http.Transport, patience time.Duration) *httpClient {
	return &httpClient{Conn: c, account: a, way: way, patience: patience, ended: make(chan struct{}), stopped: make(chan struct{})}
}

// become notes who asks. Connections that were made for somebody else are of no use: other rules may be for him.
func (c *httpClient) become(user string) {
	if c.user != user {
		c.user = user
		c.way.CloseIdleConnections()
	}
}

// follow notes the rules of the request that is next. Connections that were made by others are of no use: it may have to go elsewhere, or nowhere.
func (c *httpClient) follow(r *Routes) {
	if c.routes != r {
		c.routes = r
		c.way.CloseIdleConnections()
	}
}

// clientOf returns the client of a request.
func clientOf(ctx context.Context) *httpClient {
	c, _ := ctx.Value(httpClientKey{}).(*httpClient)
	return c
}

// Read reads from the client. net/http reads one byte ahead while it answers, and takes an end of stream for a client that has left. It may
// as well be one that has finished sending and waits, so that this read does not end before the answer has, or the client's patience.
func (c *httpClient) Read(p []byte) (int, error) {
	if c.owing.Load() {
		return 0, os.ErrDeadlineExceeded
	}
	n, err := c.Conn.Read(p)
	c.account.up(n)
	if n > 0 || err != io.EOF || len(p) != 1 {
		return n, err
	}
	var expired <-chan time.Time
	if c.patience >= 0 {
		timer := time.NewTimer(c.patience)
		defer timer.Stop()
		expired = timer.C
	}
	c.mu.Lock()
	stopped := c.stopped
	c.mu.Unlock()
	select {
	case <-stopped:
		return 0, os.ErrDeadlineExceeded
	case <-c.ended:
		return 0, net.ErrClosed
	case <-expired:
		return 0, io.EOF
	}
}

// Write writes to the client.
func (c *httpClient) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.account.down(n)
	return n, err
}

// SetReadDeadline also stops a Read that waits by itself; net/http does so when the answer is complete.
func (c *httpClient) SetReadDeadline(at time.Time) error {
	c.stop(!at.IsZero() && !at.After(time.Now()))
	return c.Conn.SetReadDeadline(at)
}

// SetDeadline is SetReadDeadline for both directions.
func (c *httpClient) SetDeadline(at time.Time) error {
	c.stop(!at.IsZero() && !at.After(time.Now()))
	return c.Conn.SetDeadline(at)
}

func (c *httpClient) stop(stop bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.stopped:
		if !stop {
			c.stopped = make(chan struct{})
		}
	default:
		if stop {
			close(c.stopped)
		}
	}
}

// CloseWrite ends the stream to the client, and leaves the other direction.
func (c *httpClient) CloseWrite() error { return closeWrite(c.Conn) }

// Close ends the connection, and those to targets that are idle. What a client still sends is taken in for a moment: it would be answered by a
// reset, and that may overtake the answer (RFC 9112 section 9.6).
func (c *httpClient) Close() error {
	defer c.once.Do(func() { close(c.ended) })
	defer c.way.CloseIdleConnections()
	if c.owing.CompareAndSwap(true, false) && c.CloseWrite() == nil && c.Conn.SetReadDeadline(time.Now().Add(contentLinger)) == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, maxOwed)
	}
	return c.Conn.Close()
}

// maxOwed bounds what is taken in of it.
const maxOwed = 1 << 20

package socks

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// content is what a client sends behind the head of a request. It remembers whether it was malformed, so that the answer blames the side
// that was wrong: for net/http a request that cannot be read is one that cannot be sent.
type content struct {
	io.ReadCloser
	client    *httpClient
	ended     atomic.Bool
	malformed atomic.Bool
}

func (c *content) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if err != nil {
		c.ended.Store(true)
		if err != io.EOF && !isOfConn(err) {
			c.malformed.Store(true)
		}
	}
	return n, err
}

// Close gives up what has not come yet. Closing waits for a pending Read, and a client that waits for the answer to what it has sent so far
// would never end that one.
func (c *content) Close() error {
	if !c.ended.Load() {
		_ = c.client.SetReadDeadline(longAgo)
	}
	return c.ReadCloser.Close()
}

// isOfConn reports whether an error of reading content is one of the connection, or of having stopped to read, and says nothing about the
// content itself.
func isOfConn(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) || errors.Is(err, http.ErrBodyReadAfterClose) || errors.Is(err, net.ErrClosed)
}

// isMalformed reports whether a request failed because its content could not be read.
func isMalformed(r *http.Request) bool {
	c, ok := r.Body.(*content)
	return ok && c.malformed.Load()
}

// hasDoubtfulLength reports whether a request may have told the length of its content twice: with a Content-Length beside its
// Transfer-Encoding, or with a Transfer-Encoding in HTTP/1.0. Both are how requests are smuggled, and the connection must end behind them (RFC
// 9112 section 6.1). net/http has already taken the lesser field away, so that all requests count that may have had it: few clients send any.
func hasDoubtfulLength(r *http.Request) bool {
	return len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) && r.ContentLength != 0
}

package netsim

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// Conn is one end of a connection over a path.
type Conn struct {
	path          *Path
	in, out       *pipe
	local, remote addr
	closed        bool
}

var _ net.Conn = (*Conn)(nil)

// addr is a path's name and an end of it.
type addr string

// Network implements net.Addr.
func (addr) Network() string { return "netsim" }

// String implements net.Addr.
func (a addr) String() string { return string(a) }

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	c.path.mu.Lock()
	defer c.path.mu.Unlock()
	n, err := c.in.read(b, &c.closed)
	return n, c.opError("read", err)
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	c.path.mu.Lock()
	defer c.path.mu.Unlock()
	n, err := c.out.write(b, &c.closed)
	return n, c.opError("write", err)
}

// CloseWrite ends the sending direction: the other end reads what was written and then EOF.
func (c *Conn) CloseWrite() error {
	c.path.mu.Lock()
	defer c.path.mu.Unlock()
	switch {
	case c.closed:
		return c.opError("close", net.ErrClosed)
	case c.out.err != nil:
		return c.opError("close", syscall.ENOTCONN)
	}
	c.out.end()
	return nil
}

// Close implements net.Conn. What was written still goes to the other end, unless something that arrived has not been read: then the connection is reset.
func (c *Conn) Close() error {
	c.path.mu.Lock()
	defer c.path.mu.Unlock()
	if c.closed {
		return c.opError("close", net.ErrClosed)
	}
	if len(c.in.unread) > 0 && c.in.err == nil {
		c.abort()
	}
	c.release()
	c.out.end()
	return nil
}

// Reset closes the connection like a TCP socket without linger time: the other end sees a reset, and what it has not yet got is lost.
func (c *Conn) Reset() error {
	c.path.mu.Lock()
	defer c.path.mu.Unlock()
	if c.closed {
		return c.opError("close", net.ErrClosed)
	}
	c.abort()
	c.release()
	return nil
}

// abort gives up what was to be sent and tells the other end.
func (c *Conn) abort() {
	if c.out.err == nil {
		c.out.unsent = nil
		c.out.fin = true
		c.out.finSent = true
		c.out.dir.sendReset(c.out)
	}
}

// release ends the calls that wait on this end.
func (c *Conn) release() {
	c.closed = true
	c.in.deaf = true
	c.in.unread = nil
	c.in.readBy.stop()
	c.out.writeBy.stop()
	c.in.canRead.Broadcast()
	c.out.canWrite.Broadcast()
	c.path.forget(c)
}

// broken ends the connection at both ends. c is either.
func (c *Conn) broken(err error) {
	c.in.fail(err)
	c.out.fail(err)
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadlines(t, true, true) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, true, false) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, false, true) }

func (c *Conn) setDeadlines(t time.Time, read, write bool) error {
	c.path.mu.Lock()
	defer c.path.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	if read {
		c.in.readBy.setTo(t, c.in.canRead)
	}
	if write {
		c.out.writeBy.setTo(t, c.out.canWrite)
	}
	return nil
}

// opError dresses an error as package net does; EOF stays EOF.
func (c *Conn) opError(op string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return &net.OpError{Op: op, Net: "netsim", Source: c.local, Addr: c.remote, Err: err}
}

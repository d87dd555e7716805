package netsim

import (
	"io"
	"net"
	"os"
	"sync"
)

// pipe is one direction of a connection. Its path's mu guards it.
type pipe struct {
	dir  *direction
	conn *Conn // the one that writes to it

	unsent  [][]byte // written, not yet on the link
	held    int      // octets written and not yet read
	unread  []byte   // arrived, not yet read
	queued  bool     // in dir's queue
	fin     bool     // nothing more will be written
	finSent bool
	arrived bool  // so did the end
	lost    bool  // nobody on the way knows the connection any more: nothing gets through
	deaf    bool  // the reader has closed: what arrives is answered by a reset
	err     error // why the connection broke

	canRead, canWrite *sync.Cond
	readBy, writeBy   deadline
}

func newPipe(p *Path, d *direction) *pipe {
	return &pipe{dir: d, canRead: sync.NewCond(&p.mu), canWrite: sync.NewCond(&p.mu)}
}

// pending reports whether something is to go on the link.
func (p *pipe) pending() bool {
	return p.err == nil && !p.lost && (len(p.unsent) > 0 || p.fin && !p.finSent)
}

// nextSegment takes the next octets to be sent, the end with the last of them.
func (p *pipe) nextSegment(limit int) (s segment, ok bool) {
	if !p.pending() {
		return s, false
	}
	s.to = p
	if len(p.unsent) > 0 {
		first := p.unsent[0]
		if n := min(limit, len(first)); n < len(first) {
			s.data, p.unsent[0] = first[:n], first[n:]
		} else {
			s.data, p.unsent = first, p.unsent[1:]
		}
	}
	if p.fin && len(p.unsent) == 0 {
		s.fin, p.finSent = true, true
	}
	return s, true
}

// read waits for octets. closed says whether the reader's connection was closed meanwhile.
func (p *pipe) read(b []byte, closed *bool) (int, error) {
	for {
		switch {
		case *closed:
			return 0, net.ErrClosed
		case p.readBy.passed:
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case len(p.unread) > 0:
			n := copy(b, p.unread)
			p.unread = p.unread[n:]
			p.held -= n
			p.canWrite.Broadcast()
			return n, nil
		case p.err != nil:
			return 0, p.err
		case p.arrived:
			return 0, io.EOF
		}
		p.canRead.Wait()
	}
}

// write waits for room until all of b is taken.
func (p *pipe) write(b []byte, closed *bool) (n int, err error) {
	for {
		switch {
		case *closed || p.fin:
			return n, net.ErrClosed
		case p.writeBy.passed:
			return n, os.ErrDeadlineExceeded
		case p.err != nil:
			return n, p.err
		case len(b) == 0:
			return n, nil
		}
		if room := p.dir.buffer() - p.held; room > 0 {
			part := append([]byte(nil), b[:min(room, len(b))]...)
			p.unsent = append(p.unsent, part)
			p.held += len(part)
			n, b = n+len(part), b[len(part):]
			p.dir.wantSend(p)
			p.dir.run()
			continue
		}
		p.canWrite.Wait()
	}
}

// end says that nothing more will be written.
func (p *pipe) end() {
	if !p.fin && p.err == nil {
		p.fin = true
		p.dir.wantSend(p)
		p.dir.run()
	}
	p.canWrite.Broadcast()
}

// fail breaks the pipe: what has arrived can still be read.
func (p *pipe) fail(err error) {
	if p.err == nil {
		p.err = err
		p.unsent = nil
	}
	p.canRead.Broadcast()
	p.canWrite.Broadcast()
}

package socks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// vigil reads from a client for which nothing can be relayed yet, so that one that
// goes away is noticed at once. What it reads is kept, up to a bound; beyond that it
// stops reading, and a client that sends so much without being asked is not watched
// any longer.
type vigil struct {
	conn net.Conn
	gone context.CancelCauseFunc
	// endIsGone: an end of stream before any byte means that the client has left.
	// Clients close a connection they give up just like one they only finish
	// sending on, but nobody finishes without having sent anything.
	endIsGone bool
	done      chan struct{}

	mu   sync.Mutex
	kept []byte
	any  bool // the client has sent something at some time
}

const (
	maxKept   = 64 << 10
	vigilRead = 2 << 10
)

// vigilBuffers are for what lasts as long as it takes to connect.
var vigilBuffers = sync.Pool{New: func() any { b := make([]byte, vigilRead); return &b }}

// errClientGone is the cause with which a vigil cancels.
var errClientGone = errors.New("client has gone away")

// keepVigil begins to read from conn, behind early. gone is called when the client
// is lost. end must be called.
func keepVigil(conn net.Conn, early []byte, endIsGone bool, gone context.CancelCauseFunc) *vigil {
	v := &vigil{
		conn: conn, gone: gone, endIsGone: endIsGone,
		done: make(chan struct{}), kept: early, any: len(early) > 0,
	}
	go v.watch()
	return v
}

func (v *vigil) watch() {
	defer close(v.done)
	buf := vigilBuffers.Get().(*[]byte)
	defer vigilBuffers.Put(buf)
	for {
		n, err := v.conn.Read(*buf)
		full := v.keep((*buf)[:n])
		switch {
		case err == nil && !full:
			continue
		case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
			return
		case err == io.EOF && !v.leaves():
			return // finished sending; the next reader will see it again
		}
		v.gone(fmt.Errorf("%w: %w", errClientGone, err))
		return
	}
}

func (v *vigil) keep(b []byte) (full bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.kept = append(v.kept, b...)
	v.any = v.any || len(b) > 0
	return len(v.kept) >= maxKept
}

func (v *vigil) leaves() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.endIsGone && !v.any
}

// take returns what has come so far, for somebody who sends it on.
func (v *vigil) take() []byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	b := slices.Clip(v.kept)
	v.kept = nil
	return b
}

// end stops reading and returns what has come and was not taken. The connection may
// be read by others then.
func (v *vigil) end() []byte {
	_ = v.conn.SetReadDeadline(longAgo)
	<-v.done
	_ = v.conn.SetReadDeadline(time.Time{})
	return v.take()
}

package socks

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"sync"
)

// datagramStream is a stream that can carry datagrams beside its bytes: unreliably, and not behind them.
type datagramStream interface {
	net.Conn
	// Datagrams reports whether the other side understands them.
	Datagrams() bool
	// SendDatagram sends p or drops it. It does not wait and does not keep p.
	SendDatagram(p []byte) error
	// ReceiveDatagram waits for one and hands it to use, which does not keep it. It fails when the stream ends.
	ReceiveDatagram(use func(p []byte)) error
}

// datagramLink is how the datagrams of one association go between front and egress: beside the stream that the association was asked for on, if that
// is possible, and within it otherwise, each behind two bytes that say how long it is. Either side takes both, so that nothing has to be agreed upon.
type datagramLink struct {
	stream net.Conn
	beside datagramStream // nil: within

	mu sync.Mutex // one writer at a time
}

func newDatagramLink(stream net.Conn) *datagramLink {
	l := &datagramLink{stream: stream}
	if d, ok := stream.(datagramStream); ok && d.Datagrams() {
		l.beside = d
	}
	return l
}

// errDatagramTooLong is a datagram that has no room behind two bytes of length.
var errDatagramTooLong = errors.New("datagram too long")

// send sends a datagram. Within the stream it waits if the stream does; the datagrams behind it wait in a socket's buffer then, which drops what is
// too much.
func (l *datagramLink) send(p []byte) error {
	if l.beside != nil {
		return l.beside.SendDatagram(p)
	}
	if len(p) > math.MaxUint16 {
		return errDatagramTooLong
	}
	b := takeUDPBuffer()
	defer b.giveBack()
	frame := append(binary.BigEndian.AppendUint16(b[:0], uint16(len(p))), p...)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.stream.Write(frame)
	return err
}

// run hands the datagrams that come to deliver, which does not keep them, until the stream ends. It closes the stream and returns why it ended. deliver
// may be called by two goroutines at once.
func (l *datagramLink) run(deliver func(p []byte)) error {
	var wg sync.WaitGroup
	if l.beside != nil {
		wg.Go(func() { l.receive(deliver) })
	}
	err := l.readFrames(deliver)
	_ = l.stream.Close()
	wg.Wait()
	return err
}

func (l *datagramLink) receive(deliver func(p []byte)) {
	for l.beside.ReceiveDatagram(deliver) == nil {
	}
}

// readFrames reads what comes within the stream. An end between two datagrams is none that needs telling.
func (l *datagramLink) readFrames(deliver func(p []byte)) error {
	var length [2]byte
	for {
		if _, err := io.ReadFull(l.stream, length[:]); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		if err := l.readFrame(int(binary.BigEndian.Uint16(length[:])), deliver); err != nil {
			return err
		}
	}
}

func (l *datagramLink) readFrame(n int, deliver func(p []byte)) error {
	b := takeUDPBuffer()
	defer b.giveBack()
	if _, err := io.ReadFull(l.stream, b[:n]); err != nil {
		return err
	}
	deliver(b[:n])
	return nil
}

package socks

import (
	"bytes"
	"net"
	"sync"
)

// pipeDatagrams bounds the datagrams that wait in a datagramPipe, each way; more are dropped, as by a socket.
const pipeDatagrams = 256

// memStream is one end of a datagramPipe.
type memStream struct {
	net.Conn
	in, out chan []byte
	end     *pipeEnd
}

// pipeEnd is shared by both ends.
type pipeEnd struct {
	once sync.Once
	done chan struct{}
}

var _ datagramStream = (*memStream)(nil)

// datagramPipe returns the two ends of a stream within this program that carries datagrams. When one is closed both have ended.
func datagramPipe() (near, far *memStream) {
	a, b := net.Pipe()
	up, down := make(chan []byte, pipeDatagrams), make(chan []byte, pipeDatagrams)
	end := &pipeEnd{done: make(chan struct{})}
	return &memStream{a, down, up, end}, &memStream{b, up, down, end}
}

// Datagrams implements datagramStream.
func (s *memStream) Datagrams() bool { return true }

// SendDatagram implements datagramStream.
func (s *memStream) SendDatagram(p []byte) error {
	select {
	case <-s.end.done:
		return net.ErrClosed
	default:
	}
	select {
	case s.out <- bytes.Clone(p):
	default: // dropped
	}
	return nil
}

// ReceiveDatagram implements datagramStream.
func (s *memStream) ReceiveDatagram(use func(p []byte)) error {
	select {
	case <-s.end.done:
		return net.ErrClosed
	case p := <-s.in:
		use(p)
		return nil
	}
}

// Close implements net.Conn.
func (s *memStream) Close() error {
	s.end.once.Do(func() { close(s.end.done) })
	return s.Conn.Close()
}

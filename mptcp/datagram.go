package mptcp

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"

	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
)

// MaxDatagram is the longest datagram that SendDatagram takes, in octets.
const MaxDatagram = proto.MaxDatagram

var (
	// ErrNoDatagrams: the peer does not understand datagrams.
	ErrNoDatagrams = proto.ErrNoDatagrams
	// ErrDatagramTooLong: a datagram has more than MaxDatagram octets.
	ErrDatagramTooLong = errors.New("datagram too long")
)

// Datagrams reports whether the peer understands datagrams. If not, SendDatagram fails and ReceiveDatagram waits in vain.
func (st *Stream) Datagrams() bool { return st.s.core.Datagrams() }

// SendDatagram sends p to the peer's end of the stream beside its octets: whole or not at all, at most once, perhaps out of order. It goes by the
// path on which it should arrive soonest, and by another one if that path falls silent; it is not sent again when it is lost, and not sent at all
// when it has waited for longer than is of use (250 ms, or three round trips, a second at most). It never waits: what does not fit into the bounds of
// the stream (1 MiB) and the session makes older ones of the stream go. It fails with ErrNoDatagrams, ErrDatagramTooLong, and as Write does once the
// stream has ended. p is not kept. It may run concurrently with everything else.
func (st *Stream) SendDatagram(p []byte) error {
	if len(p) > MaxDatagram {
		return st.opError("send datagram", ErrDatagramTooLong)
	}
	buf := bufpool.Get(len(p))
	copy(buf.B, p)
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.wrClosed {
		buf.Free()
		return st.opError("send datagram", net.ErrClosed)
	}
	if code := st.core.WriteErr(); code != proto.CodeNone {
		buf.Free()
		return st.opError("send datagram", s.streamError(code))
	}
	err := st.core.SendDatagram(s.now(), buf)
	s.drain()
	return st.opError("send datagram", err)
}

// ReceiveDatagram waits for a datagram and hands it to use, which may not keep it. It fails as Read does at the end of the stream, which is also the
// end of its datagrams, and at the read deadline. It may run concurrently with everything else.
func (st *Stream) ReceiveDatagram(use func(p []byte)) error {
	buf, err := st.nextDatagram()
	if err != nil {
		return st.opError("receive datagram", err)
	}
	defer buf.Free()
	use(buf.B)
	return nil
}

func (st *Stream) nextDatagram() (*bufpool.Buf, error) {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.gotDatagram == nil { // few streams have datagrams
		st.gotDatagram = sync.NewCond(&s.mu)
	}
	for {
		switch {
		case st.rdClosed:
			return nil, net.ErrClosed
		case st.rdl.passed:
			return nil, os.ErrDeadlineExceeded
		}
		if buf := st.core.ReceiveDatagram(); buf != nil {
			return buf, nil
		}
		if end, code := st.core.ReadErr(); end {
			return nil, io.EOF
		} else if code != proto.CodeNone {
			return nil, s.streamError(code)
		}
		st.gotDatagram.Wait()
	}
}

// readable wakes those who wait for octets or datagrams. mu is held.
func (st *Stream) readable() {
	st.canRead.Broadcast()
	st.wakeDatagrams()
}

func (st *Stream) wakeDatagrams() {
	if st.gotDatagram != nil {
		st.gotDatagram.Broadcast()
	}
}

// DatagramStats counts the datagrams of a session.
type DatagramStats = proto.DatagramCounts

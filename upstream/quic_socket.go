package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"

	"golang.org/x/net/ipv4"
)

// quicSocket is a UDP socket that takes what the network reports for what it is: a
// lost packet. To quic-go an error of the socket is the end of the connection; but
// an interface that is down for a moment is not, and ICMP messages are anybody's
// (RFC 9000, 14.2.1). Only while a connection is being made do errors count, so
// that an egress without QUIC is known at once.
type quicSocket struct {
	*net.UDPConn
	batch     *ipv4.PacketConn
	connected bool
	settled   atomic.Bool   // errors are losses now
	trouble   chan struct{} // holds a token after such a loss; nil: nobody asks
}

// softErrors bounds how many errors in a row are taken for losses of reading.
const softErrors = 100

// dialUDP returns a socket from which only t can be reached, bound to the line
// that t goes by.
func dialUDP(ctx context.Context, t *target) (*quicSocket, error) {
	source := t.source
	if !source.IsValid() && t.device != "" {
		source = t.fallback
	}
	var nd net.Dialer
	if source.IsValid() {
		nd.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	if t.device != "" {
		bound := *t
		bound.source = source
		nd.Control = func(network, _ string, c syscall.RawConn) error { return controlDevice(network, c, &bound) }
	}
	network := "udp6"
	if t.addr.Addr().Is4() {
		network = "udp4"
	}
	c, err := nd.DialContext(ctx, network, t.addr.String())
	if err != nil {
		return nil, err
	}
	s := newQUICSocket(c.(*net.UDPConn))
	s.connected, s.trouble = true, make(chan struct{}, 1)
	return s, nil
}

// listenUDP binds one address for an egress.
func listenUDP(ctx context.Context, address string) (*quicSocket, error) {
	var lc net.ListenConfig
	c, err := lc.ListenPacket(ctx, "udp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on udp %s: %w", address, reason(err))
	}
	s := newQUICSocket(c.(*net.UDPConn))
	s.settled.Store(true)
	return s, nil
}

func newQUICSocket(c *net.UDPConn) *quicSocket {
	return &quicSocket{UDPConn: c, batch: ipv4.NewPacketConn(c)}
}

// soft reports whether err is to be taken for a lost packet, and notes it if so.
// quic-go itself wants to know of packets that are too long and of segmentation
// that fails.
func (s *quicSocket) soft(err error) bool {
	var errno syscall.Errno
	if !s.settled.Load() || errors.Is(err, net.ErrClosed) || !errors.As(err, &errno) ||
		errno == syscall.EMSGSIZE || errno == syscall.EIO {
		return false
	}
	if s.trouble != nil {
		tell(s.trouble)
	}
	return true
}

// WriteMsgUDP implements quic.OOBCapablePacketConn.
func (s *quicSocket) WriteMsgUDP(b, oob []byte, to *net.UDPAddr) (n, oobn int, err error) {
	if s.connected {
		to = nil
	}
	n, oobn, err = s.UDPConn.WriteMsgUDP(b, oob, to)
	if err != nil && s.soft(err) {
		return len(b), len(oob), nil
	}
	return n, oobn, err
}

// WriteTo implements net.PacketConn, for systems without the former.
func (s *quicSocket) WriteTo(b []byte, to net.Addr) (n int, err error) {
	if s.connected {
		n, err = s.Write(b)
	} else {
		n, err = s.UDPConn.WriteTo(b, to)
	}
	if err != nil && s.soft(err) {
		return len(b), nil
	}
	return n, err
}

// ReadBatch is what quic-go reads by where it can.
func (s *quicSocket) ReadBatch(ms []ipv4.Message, flags int) (n int, err error) {
	for range softErrors {
		if n, err = s.batch.ReadBatch(ms, flags); err == nil || !s.soft(err) {
			break
		}
	}
	return n, err
}

// ReadFrom implements net.PacketConn.
func (s *quicSocket) ReadFrom(b []byte) (n int, from net.Addr, err error) {
	for range softErrors {
		if n, from, err = s.UDPConn.ReadFrom(b); err == nil || !s.soft(err) {
			break
		}
	}
	return n, from, err
}

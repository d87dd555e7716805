package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// socksPacketConn is a UDP socket whose datagrams go through a SOCKS5 proxy (RFC 1928 section 7).
type socksPacketConn struct {
	net.PacketConn
	control net.Conn
	relay   net.Addr
}

// udpAssociate asks the proxy behind control to relay for sock, which is on the same machine.
func udpAssociate(control net.Conn, sock net.PacketConn) (*socksPacketConn, error) {
	_ = control.SetDeadline(time.Now().Add(udpPatience))
	if _, err := control.Write([]byte{5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0}); err != nil {
		return nil, err
	}
	answer := make([]byte, 2+4+4+2) // of IPv4
	if _, err := io.ReadFull(control, answer); err != nil {
		return nil, fmt.Errorf("read the reply: %w", err)
	}
	if answer[3] != 0 || answer[5] != 1 {
		return nil, fmt.Errorf("reply %x", answer)
	}
	_ = control.SetDeadline(time.Time{})
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte(answer[6:10])), binary.BigEndian.Uint16(answer[10:]))
	return &socksPacketConn{sock, control, net.UDPAddrFromAddrPort(at)}, nil
}

// udpPatience ends a test that hangs.
const udpPatience = time.Minute

// socksHeader is how long the header of an IPv4 target is.
const socksHeader = 10

// WriteTo implements net.PacketConn.
func (c *socksPacketConn) WriteTo(p []byte, to net.Addr) (int, error) {
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, errors.New("no UDP address")
	}
	ap := udp.AddrPort()
	b := append([]byte{0, 0, 0, 1}, ap.Addr().Unmap().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, ap.Port())
	if _, err := c.PacketConn.WriteTo(append(b, p...), c.relay); err != nil {
		return 0, err
	}
	return len(p), nil
}

// ReadFrom implements net.PacketConn.
func (c *socksPacketConn) ReadFrom(p []byte) (int, net.Addr, error) {
	b := make([]byte, 65535)
	n, _, err := c.PacketConn.ReadFrom(b)
	if err != nil {
		return 0, nil, err
	}
	if n < socksHeader || b[3] != 1 {
		return 0, nil, fmt.Errorf("datagram of %d bytes that begins with %x", n, b[:4])
	}
	from := netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), binary.BigEndian.Uint16(b[8:]))
	return copy(p, b[socksHeader:n]), net.UDPAddrFromAddrPort(from), nil
}

// Close implements net.PacketConn.
func (c *socksPacketConn) Close() error {
	_ = c.control.Close()
	return c.PacketConn.Close()
}

// throughUDP is a socket on loopback whose datagrams go through a proxy.
func throughUDP(t *testing.T, proxy string) *socksPacketConn {
	t.Helper()
	control, err := net.Dial("tcp", proxy)
	if err != nil {
		t.Fatal(err)
	}
	sock, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := udpAssociate(control, sock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = sock.SetDeadline(time.Now().Add(udpPatience))
	return c
}

// udpEcho answers every datagram by itself.
func udpEcho(t *testing.T) net.Addr {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 65535)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(b[:n], from)
		}
	}()
	t.Cleanup(func() {
		_ = c.Close()
		<-done
	})
	return c.LocalAddr()
}

// Datagrams of all sizes come back, over a session and over a transport that has none of its own, and both sides count them.
func TestUDP(t *testing.T) {
	target := udpEcho(t)
	for _, transport := range []string{"mptcp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			client, egress := testFiles(t)
			out := launch(t, "egress", "-c", egress)
			at := words(out.err.line(t, " ready "))
			edit(t, client, "127.0.0.1:1\"", at["listen"]+"\"")
			edit(t, client, "# ", "transport: "+transport+"\n# ")
			in := launch(t, "client", "-c", client)
			ready := words(in.err.line(t, " ready "))
			c := throughUDP(t, ready["socks"])
			sizes := []int{0, 1, 1200, 20_000, 65507 - socksHeader}
			for _, n := range sizes {
				sent := pattern(n)
				if _, err := c.WriteTo(sent, target); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, 65535)
				n, from, err := c.ReadFrom(got)
				if err != nil || !bytes.Equal(got[:n], sent) || from.String() != target.String() {
					t.Fatalf("%d bytes came back as %d from %v, %v", len(sent), n, from, err)
				}
			}
			for who, addr := range map[string]string{"client": ready["admin"], "egress": at["admin"]} {
				wantUDP(t, who, addr, udpView{Associations: 1, Up: uint64(len(sizes)), Down: uint64(len(sizes))})
			}
			_ = c.Close()
			in.stop()
			out.stop()
		})
	}
}

// wantUDP waits until an admin port tells what it should: a datagram is counted when it has gone, and may be there before that.
func wantUDP(t *testing.T, who, addr string, want udpView) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(udpPatience)
	defer late.Stop()
	for {
		got := statusOf(t, addr).UDP
		if reflect.DeepEqual(got, want) {
			return
		}
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("%s counts %+v, want %+v", who, got, want)
		}
	}
}

// quicIdentity is a certificate for a test's server, and what a client needs to believe in it.
func quicIdentity(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"echo.test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, public, private)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, pool
}

// quicEcho serves QUIC; each stream gets back what it sends.
func quicEcho(t *testing.T, cert tls.Certificate) net.Addr {
	t.Helper()
	ln, err := quic.ListenAddr("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"echo"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		conn, err := ln.Accept(context.Background())
		if err != nil {
			return
		}
		defer conn.CloseWithError(0, "")
		st, err := conn.AcceptStream(context.Background())
		if err != nil {
			return
		}
		_, _ = io.Copy(st, st)
		_ = st.Close()
		<-over
	}()
	t.Cleanup(func() {
		close(over)
		_ = ln.Close()
		<-done
	})
	return ln.Addr()
}

// A program that speaks QUIC goes through the association as through its own socket.
func TestQUICThroughUDP(t *testing.T) {
	cert, pool := quicIdentity(t)
	target := quicEcho(t, cert)
	d := launch(t, "demo", "--socks", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	ready := words(d.err.line(t, " ready "))
	c := throughUDP(t, ready["socks"])
	ctx, cancel := context.WithTimeout(t.Context(), udpPatience)
	defer cancel()
	conn, err := quic.Dial(ctx, c, target, &tls.Config{RootCAs: pool, ServerName: "echo.test", NextProtos: []string{"echo"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	st, err := conn.OpenStreamSync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	body := pattern(2 << 20)
	sent := make(chan error, 1)
	go func() {
		_, err := st.Write(body)
		sent <- errors.Join(err, st.Close())
	}()
	got, err := io.ReadAll(st)
	if err := errors.Join(err, <-sent); err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes came back, %v, want the %d sent", len(got), err, len(body))
	}
	_ = conn.CloseWithError(0, "")
	_ = c.Close()
	d.stop()
}

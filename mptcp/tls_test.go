package mptcp

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

// tlsConfigs returns what the two ends of a sealed loopback carrier need.
func tlsConfigs(t testing.TB) (client, server *tls.Config) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, pub, priv)
	if err != nil {
		t.Fatal(err)
	}
	cert := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: priv}
	server = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13, DynamicRecordSizingDisabled: true}
	client = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, DynamicRecordSizingDisabled: true} // a test of speed, not of trust
	return client, server
}

// sealedPair is newPair over TLS.
func sealedPair(b *testing.B, n int) (client, server *Session) {
	b.Helper()
	cc, sc := tlsConfigs(b)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	l := NewListener(nil)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				t := tls.Server(c, sc)
				if t.Handshake() == nil {
					_ = l.Handle(context.Background(), &Carrier{Conn: t, TCP: c.(*net.TCPConn)}, "bench")
				}
			})
		}
	})
	var paths []Path
	for i := range n {
		paths = append(paths, Path{Name: string(rune('a' + i)), Dial: func(ctx context.Context) (*Carrier, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, "tcp", ln.Addr().String())
			if err != nil {
				return nil, err
			}
			t := tls.Client(c, cc)
			return &Carrier{Conn: t, TCP: c.(*net.TCPConn)}, t.HandshakeContext(ctx)
		}})
	}
	if client, err = Dial(b.Context(), nil, paths...); err != nil {
		b.Fatal(err)
	}
	if server, err = l.Accept(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = client.Close()
		_ = l.Close()
		_ = ln.Close()
		wg.Wait()
	})
	return client, server
}

// BenchmarkSealed is one stream over TLS subflows, beside the same bytes over one TLS connection.
func BenchmarkSealed(b *testing.B) {
	b.Run("tls", func(b *testing.B) {
		cc, sc := tlsConfigs(b)
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		defer ln.Close()
		raw, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		peer, err := ln.Accept()
		if err != nil {
			b.Fatal(err)
		}
		pump(b, tls.Client(raw, cc), tls.Server(peer, sc))
	})
	for _, n := range []int{1, 2} {
		b.Run(map[int]string{1: "paths=1", 2: "paths=2"}[n], func(b *testing.B) {
			c, s := sealedPair(b, n)
			from, err := c.OpenStream(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			if _, err := from.Write([]byte("!")); err != nil {
				b.Fatal(err)
			}
			to, err := s.AcceptStream(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			pump(b, from, to)
		})
	}
}

type writeCloser interface {
	net.Conn
	CloseWrite() error
}

func pump(b *testing.B, from writeCloser, to net.Conn) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, to)
	}()
	buf := make([]byte, 256<<10)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		if _, err := from.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	_ = from.CloseWrite()
	<-done
	_ = from.Close()
	_ = to.Close()
}

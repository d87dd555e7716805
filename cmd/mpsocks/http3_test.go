package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// serveHTTP3 serves on pc until the test ends, which pc does not outlive.
func serveHTTP3(t *testing.T, pc net.PacketConn, cert tls.Certificate, h http.Handler) {
	t.Helper()
	s := &http3.Server{Handler: h, TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{cert}})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(pc) // until it is closed
	}()
	t.Cleanup(func() {
		_ = s.Close()
		_ = pc.Close()
		<-done
	})
}

// http3Through is an HTTP/3 client whose datagrams go through an association to the server at that address.
func http3Through(c *socksPacketConn, server net.Addr, trust *tls.Config) *http3.Transport {
	return &http3.Transport{
		TLSClientConfig: trust,
		Dial: func(ctx context.Context, _ string, t *tls.Config, cfg *quic.Config) (*quic.Conn, error) {
			return quic.DialEarly(ctx, c, server, t, cfg)
		},
	}
}

// An HTTP/3 client gets a page and what belongs to it through the association, and sends something as long.
func TestHTTP3ThroughUDP(t *testing.T) {
	cert, pool := quicIdentity(t)
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	page := pattern(1 << 20)
	serveHTTP3(t, pc, cert, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = io.Copy(w, r.Body)
			return
		}
		_, _ = w.Write(page)
	}))
	d := launch(t, "demo", "--socks", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	c := throughUDP(t, words(d.err.line(t, " ready "))["socks"])
	tr := http3Through(c, pc.LocalAddr(), &tls.Config{RootCAs: pool, ServerName: "echo.test"})
	client := &http.Client{Transport: tr, Timeout: udpPatience}
	answered := func(resp *http.Response, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil || resp.ProtoMajor != 3 || !bytes.Equal(got, page) {
			t.Errorf("%s, %d bytes, %v, want HTTP/3 and the %d of the page", resp.Proto, len(got), err, len(page))
		}
	}
	for range 5 {
		answered(client.Get("https://echo.test/page"))
	}
	answered(client.Post("https://echo.test/echo", "application/octet-stream", bytes.NewReader(page)))
	_ = tr.Close()
	_ = c.Close()
	d.stop()
}

package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/things-go/go-socks5"
)

// foreignSocks is a SOCKS5 server as others run it, with a password.
func foreignSocks(t *testing.T) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := socks5.NewServer(socks5.WithCredential(socks5.StaticCredentials{"alice": "secret"}), socks5.WithDial(func(ctx context.Context, network, addr string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}))
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { _ = server.ServeConn(c) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
	return ln.Addr().String()
}

// A client without an egress of ours: a server of others in its place, over plain TCP or the system's MPTCP.
func TestForeignServer(t *testing.T) {
	body := pattern(2 << 20)
	target := webTarget(t, body)
	foreign := foreignSocks(t)
	for _, transport := range []string{"tcp", "kernel"} {
		file := write(t, t.TempDir(), "client.yaml", fmt.Sprintf(
			"socks: {listen: \"127.0.0.1:0\", reply: optimistic}\nadmin: {listen: \"127.0.0.1:0\"}\ntransport: %s\negress: {socks5: \"socks5://alice:secret@%s\"}\n", transport, foreign))
		in := launch(t, "client", "-c", file)
		ready := words(in.err.line(t, " ready "))
		fetch(t, throughSocks(t, nil, ready["socks"]), target.URL, body)
		fetch(t, throughProxy(t, &url.URL{Scheme: "http", Host: ready["socks"]}), target.URL, body)
		if s := statusOf(t, ready["admin"]); s.Session.State != "up" || s.Session.Transport != transport || len(s.Paths) == 0 {
			t.Errorf("%s: status = %+v", transport, s)
		}
		if code := in.stop(); code != exitOK || strings.Contains(in.err.String(), "secret") {
			t.Errorf("%s: client ended with %d:\n%s", transport, code, in.err)
		}
	}
}

func TestForeignServerProblems(t *testing.T) {
	for text, want := range map[string]string{
		"egress: {socks5: \"socks5://u:hidden@h:1\"}\n":                          "needs `transport: tcp`",
		"transport: tcp\negress: {socks5: \"http://u:hidden@h:1\"}\n":            "2:18: egress.socks5: want a URL that begins with socks5://",
		"transport: tcp\negress: {socks5: \"socks5://h:1\", address: \"h:1\"}\n": "stands in place of egress.address",
		"transport: quic\negress: {socks5: \"socks5://h:1\"}\n":                  "quic is for an egress of mpsocks",
	} {
		file := write(t, t.TempDir(), "client.yaml", text)
		got := mpsocks(t, "", "check", "-c", file)
		if got.code != exitUsage || !strings.Contains(got.err, want) || strings.Contains(got.err, "hidden") {
			t.Errorf("%s: %+v, want %s", text, got, want)
		}
	}
}

package main

import (
	"encoding/json"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/internal/units"
)

// testTransfer moves data one way, then the other, over both kinds of proxy.
func (b *bed) testTransfer(t *testing.T) {
	const size = 20 << 20
	before := b.status(t)
	down := b.download(t, b.socks, size)
	if err := down.ended(t); err != nil {
		t.Fatalf("download: %v", err)
	}
	up := b.upload(t, b.connect, size)
	if err := up.ended(t); err != nil {
		t.Fatalf("upload: %v", err)
	}
	t.Logf("down %.1f Mbit/s, up %.1f Mbit/s", down.goodput(), up.goodput())
	after := b.status(t)
	for i, p := range after.Paths {
		rx, tx := p.RX-before.Paths[i].RX, p.TX-before.Paths[i].TX
		t.Logf("%s (%s): received %s, sent %s", p.Name, p.Local, units.Size(rx), units.Size(tx))
		if rx < size/50 || tx < size/50 {
			t.Errorf("%s carried %d and %d bytes, want a fair part of %d each", p.Name, rx, tx, size)
		}
	}
	if before.Session.ID != after.Session.ID {
		t.Errorf("session %s has become %s", before.Session.ID, after.Session.ID)
	}
	b.testStatusJSON(t)
}

// testStatusJSON asks as a script would.
func (b *bed) testStatusJSON(t *testing.T) {
	var s struct {
		Role    string
		Session map[string]any
		Paths   []map[string]any
	}
	if err := json.Unmarshal([]byte(runProgram(t, b.lab.Client(), "status", "--json")), &s); err != nil {
		t.Fatal(err)
	}
	if s.Role != "client" || len(s.Paths) != 2 {
		t.Errorf("status --json: %+v, want a client with two paths", s)
	}
	for _, key := range []string{"state", "id", "transport", "streams"} {
		if _, ok := s.Session[key]; !ok {
			t.Errorf("status --json: session has no %s", key)
		}
	}
	for _, p := range s.Paths {
		for _, key := range []string{"name", "state", "reason", "local", "remote", "role", "rtt_ms", "tx_bytes", "rx_bytes", "share"} {
			if _, ok := p[key]; !ok {
				t.Errorf("status --json: path %v has no %s", p["name"], key)
			}
		}
	}
}

// testMany runs many downloads at once, half of which their readers give up.
func (b *bed) testMany(t *testing.T) {
	const (
		many = 100
		size = 300 << 10
	)
	b.quiet(t)
	clientFiles, egressFiles := b.client.descriptors(t), b.egress.descriptors(t)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range many {
		if i%2 == 0 {
			x := b.download(t, b.socks, size)
			wg.Go(func() {
				if <-x.done; x.err != nil {
					t.Errorf("%s: %v", x.name, x.err)
				}
			})
			continue
		}
		wg.Go(func() { b.giveUp(t, i%4 == 1) })
	}
	wg.Wait()
	t.Logf("%d downloads, half of them given up: %v", many, time.Since(start))
	b.quiet(t)
	took := eventually(t, "no more descriptors than before", func() bool {
		return b.client.descriptors(t) <= clientFiles && b.egress.descriptors(t) <= egressFiles
	})
	t.Logf("descriptors back at %d in the client and %d in the egress after %v", clientFiles, egressFiles, took)
}

// giveUp reads a part of an endless download and goes away, with or without a reset.
func (b *bed) giveUp(t *testing.T, reset bool) {
	c, err := b.socks(t.Context(), "tcp", labTarget)
	if err != nil {
		t.Errorf("connect: %v", err)
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write([]byte("GET /?id=given-up HTTP/1.1\r\nHost: " + labServer + "\r\n\r\n")); err != nil {
		t.Errorf("ask: %v", err)
		return
	}
	for n := 0; n < 50_000; {
		k, err := c.Read(make([]byte, 8<<10))
		if n += k; err != nil {
			t.Errorf("after %d bytes: %v", n, err)
			return
		}
	}
	if reset {
		_ = c.(*net.TCPConn).SetLinger(0)
	}
}

// quiet waits until nothing goes through any more.
func (b *bed) quiet(t *testing.T) {
	t.Helper()
	eventually(t, "target without requests, session without streams", func() bool {
		return b.target.active.Load() == 0 && b.status(t).Session.Streams == 0
	})
}

// testEnd stops both with a signal when nothing goes on.
func (b *bed) testEnd(t *testing.T) {
	for _, p := range []*program{b.client, b.egress} {
		start := time.Now()
		p.signal(t, syscall.SIGTERM)
		if code := p.ended(t); code != exitOK {
			t.Errorf("%s ended with %d", p.name, code)
		}
		t.Logf("%s ended %v after SIGTERM", p.name, time.Since(start))
	}
}

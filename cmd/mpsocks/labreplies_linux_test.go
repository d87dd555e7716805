package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"syscall"
	"testing"
	"time"
)

// testReplies asks for targets that can be had, and for others, each of which fails
// for a reason of its own that is real. One that does not answer takes longer:
// testStrangers has it. An egress that is not there is testCrash's.
func (b *bed) testReplies(t *testing.T) {
	for kind, network := range map[string]string{"unreachable": "10.97.1.0/24", "prohibit": "10.97.2.0/24", "blackhole": "10.97.3.0/24", "throw": "10.97.4.0/24"} {
		if out, err := b.lab.Server().Command(t.Context(), "ip", "route", "add", kind, network).CombinedOutput(); err != nil {
			t.Fatalf("ip route add %s: %v: %s", kind, err, out)
		}
	}
	for _, tc := range []struct {
		name, addr string
		want       byte
	}{
		{"address", labTarget, 0},
		{"name", labName + ":80", 0},
		{"refused", labServer + ":9", 5},
		{"refused by name", labName + ":9", 5},
		{"no such name", "nothing.lab:80", 4},
		{"denied", "127.0.0.1:80", 2},
		{"denied network", "192.168.1.1:80", 2},
		{"metadata", "169.254.169.254:80", 2},
		{"number that is no address", "2130706433:80", 4},
		{"name server fails", "broken.lab:80", 4},
		{"host unreachable", "10.97.1.1:80", 4},
		{"prohibited on the way", "10.97.2.1:80", 2},
		{"swallowed by a route", "10.97.3.1:80", 4},
		{"network unreachable", "10.97.4.1:80", 3},
		{"no port", labServer + ":0", 5},
	} {
		b.testReply(t, tc.name, tc.addr, tc.want)
	}
	for name, tc := range map[string]struct {
		request string
		want    byte
	}{
		"BIND that is not served": {"\x05\x02\x00\x01\x0a\x63\x00\x01\x00\x50", 7},
		"command":                 {"\x05\x09\x00\x01\x0a\x63\x00\x01\x00\x50", 7},
		"address type":            {"\x05\x01\x00\x02", 8},
		"version":                 {"\x04\x01\x00\x01\x0a\x63\x00\x01\x00\x50", 1},
		"IPv6 without IPv6":       {"\x05\x01\x00\x04\x26\x06\x47\x00\x47\x00\x00\x00\x00\x00\x00\x00\x00\x00\x11\x11\x00\x50", 3},
	} {
		c := b.dial(t, labSocks)
		_ = c.SetDeadline(time.Now().Add(patience))
		answer := make([]byte, 2+4)
		_, werr := c.Write([]byte("\x05\x01\x00" + tc.request))
		_, rerr := io.ReadFull(c, answer)
		if err := errors.Join(werr, rerr); err != nil || answer[3] != tc.want {
			t.Errorf("%s: reply %d, %v, want %d", name, answer[3], err, tc.want)
		}
		_ = c.Close()
	}
}

// testReply asks for one target.
func (b *bed) testReply(t *testing.T, name, addr string, want ...byte) {
	start := time.Now()
	got, err := b.reply(labSocks, addr)
	t.Logf("%s: reply %d after %v", name, got, round(time.Since(start)))
	if err != nil || !slices.Contains(want, got) {
		t.Errorf("%s (%s): reply %d, %v, want %d", name, addr, got, err, want)
	}
}

// reply asks a client for addr and returns the code of its reply.
func (b *bed) reply(proxy, addr string) (byte, error) {
	c, err := b.socksAt(context.Background(), proxy, addr)
	var code replyError
	switch {
	case err == nil:
		_ = c.Close()
	case errors.As(err, &code):
		return byte(code), nil
	}
	return 0, err
}

// reaches says whether the target can be reached through the client.
func (b *bed) reaches() bool {
	code, err := b.reply(labSocks, labTarget)
	return code == 0 && err == nil
}

// testCrash kills the egress, and starts it again.
func (b *bed) testCrash(t *testing.T) {
	x := b.download(t, b.socks, 0)
	x.moves(t, warm)
	b.egress.signal(t, syscall.SIGKILL)
	b.egress.ended(t)
	start := time.Now()
	code, err := b.reply(labSocks, labTarget)
	t.Logf("without an egress: reply %d after %v", code, round(time.Since(start)))
	if code != 1 || err != nil {
		t.Errorf("without an egress: reply %d, %v, want 1", code, err)
	}
	lasts(time.Second)
	b.startEgress(t)
	took := eventually(t, "new connections", b.reaches)
	t.Logf("new connections %v after the egress's start", round(took))
	if err := x.ended(t); err == nil {
		t.Error("a download ended well although the egress had died")
	} else {
		t.Logf("the old download ended %v after the crash: %v", round(x.started.Add(x.took).Sub(start)), err)
	}
	fresh := b.download(t, b.socks, warm)
	if err := fresh.ended(t); err != nil {
		t.Errorf("download after the crash: %v", err)
	}
	b.allUp(t)
}

// testDrainEgress stops the egress while something goes through.
func (b *bed) testDrainEgress(t *testing.T) {
	x := b.startTraffic(t)
	b.egress.signal(t, syscall.SIGTERM)
	b.egress.line(t, "draining")
	x.moves(t, 2*warm)
	start := time.Now()
	if code, err := b.reply(labSocks, labTarget); code == 0 {
		t.Errorf("new connection through a draining egress: reply 0, %v, want a failure", err)
	} else {
		t.Logf("a new connection meanwhile: reply %d after %v", code, round(time.Since(start)))
	}
	x.down.finish(t)
	x.up.finish(t)
	start = time.Now()
	if code := b.egress.ended(t); code != exitOK {
		t.Errorf("egress ended with %d", code)
	}
	t.Logf("ended %v after its last connection", round(time.Since(start)))
	b.startEgress(t)
	eventually(t, "new connections", b.reaches)
	b.allUp(t)
}

// testDrainClient stops the client while something goes through.
func (b *bed) testDrainClient(t *testing.T) {
	x := b.startTraffic(t)
	b.client.signal(t, syscall.SIGTERM)
	b.client.line(t, "draining")
	eventually(t, "port closed", func() bool {
		c, err := b.lab.Client().Dial(t.Context(), "tcp", labSocks)
		if err == nil {
			_ = c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	x.moves(t, 2*warm)
	x.down.finish(t)
	x.up.finish(t)
	start := time.Now()
	if code := b.client.ended(t); code != exitOK {
		t.Errorf("client ended with %d", code)
	}
	t.Logf("ended %v after its last connection", round(time.Since(start)))
	b.egress.signal(t, syscall.SIGTERM)
	if code := b.egress.ended(t); code != exitOK {
		t.Errorf("egress ended with %d", code)
	}
}

package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/bench/lab"
	"github.com/mpsocks/mpsocks/configs"
)

// testStrangers lets others at the egress's port while a client is served.
func (b *bed) testStrangers(t *testing.T) {
	unknown := b.linkOf(t, "other1") // to another egress, but
	own, err := configs.LoadClient(b.file("client", clientFile))
	if err != nil {
		t.Fatal(err)
	}
	unknown.EgressKey = own.Egress.Key // this one is asked
	wrong := b.linkOf(t, "other2")

	x := b.startTraffic(t)
	var wg sync.WaitGroup
	for _, say := range []string{"", "\x16", "\x05\x01\x00", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"} {
		wg.Go(func() { b.testHalfOpen(t, say) })
	}
	wg.Go(func() { // belongs elsewhere, but has the time here
		b.testSilentTarget(t)
		b.testRoutingLoop(t) // has the client's end forward what comes
		b.testRouters(t)     // wants that
	})
	t.Run("garbage", b.testGarbage)
	t.Run("other protocols", b.testOtherTLS)
	t.Run("unknown client", func(t *testing.T) {
		b.testRefused(t, b.otherClient(t, "unknown", "1081", unknown), "1081", "may not have this client's key", "unknown client")
	})
	t.Run("wrong egress key", func(t *testing.T) {
		b.testRefused(t, b.otherClient(t, "wrong", "1082", wrong), "1082", "another key", "bad certificate")
	})
	wg.Wait()
	b.egress.line(t, "handshake timeout")
	if n := b.egress.lines("connection refused", "handshake timeout"); n > 2 { // 10 s apart, were they so
		t.Errorf("%d lines about half open connections, want one", n)
	}
	x.moves(t, warm)
	x.finish(t)
	if n := b.egress.lines(" ERR "); n > 0 {
		t.Errorf("%d errors in the egress's log", n)
	}
	for line := range strings.Lines(b.egress.err.String()) {
		if strings.Contains(line, "connection refused") {
			t.Logf("egress: %s", strings.TrimSpace(line))
		}
	}
}

// testSilentTarget asks for a target that does not answer.
func (b *bed) testSilentTarget(t *testing.T) {
	// What is sent there arrives at the client's end of a path, which does not
	// forward it: nothing and nobody answers.
	out, err := b.lab.Server().Command(t.Context(), "ip", "route", "add", "10.98.0.0/16", "dev", b.lab.Path(0).Name()).CombinedOutput()
	if err != nil {
		t.Errorf("ip route: %v: %s", err, out)
		return
	}
	b.testReply(t, "no answer", "10.98.0.1:80", 4, 6)
}

// testRoutingLoop asks for a target whose packets two routers send to each other until their time to live is over. Systems differ in whether that ends an
// attempt to connect or is only noted until the attempt's time is over; the program is told that the host is unreachable in either case.
func (b *bed) testRoutingLoop(t *testing.T) {
	dev := b.lab.Path(0).Name()
	for n, via := range map[*lab.Namespace]string{b.lab.Server(): b.lab.Path(0).ClientAddr().String(), b.lab.Client(): b.lab.Path(0).ServerAddr().String()} {
		if err := n.Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) }); err != nil {
			t.Errorf("%s: %v", n.Name(), err)
			return
		}
		if out, err := n.Command(t.Context(), "ip", "route", "add", "10.96.0.0/16", "via", via, "dev", dev, "onlink").CombinedOutput(); err != nil {
			t.Errorf("%s: ip route: %v: %s", n.Name(), err, out)
			return
		}
	}
	b.testReply(t, "routing loop", "10.96.0.1:80", 4)
}

// testRouters asks for targets that a router on the way, which is another host than the egress, refuses in each of the ways that routers have (RFC 1812
// section 5.2.7.1, and what packet filters do).
func (b *bed) testRouters(t *testing.T) {
	run := func(n *lab.Namespace, command string) bool {
		words := strings.Fields(command)
		out, err := n.Command(t.Context(), words[0], words[1:]...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %s: %v: %s", n.Name(), command, err, out)
		}
		return err == nil
	}
	// A system says such things once a second to one host; the router here is to say them every time.
	for name, v := range map[string]string{"icmp_ratelimit": "0", "conf/all/send_redirects": "0", "conf/" + b.lab.Path(0).Name() + "/send_redirects": "0"} {
		if err := b.lab.Client().Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(v), 0) }); err != nil {
			t.Error(err)
			return
		}
	}
	if !run(b.lab.Server(), fmt.Sprintf("ip route add 10.95.0.0/16 via %s dev %s onlink", b.lab.Path(0).ClientAddr(), b.lab.Path(0).Name())) ||
		!run(b.lab.Client(), "ip rule add pref 50 to 10.95.0.0/16 lookup main") { // in front of those of the paths
		return
	}
	tests := []struct {
		name, router string
		want         []byte
	}{
		{"router: host unreachable", "ip route add unreachable 10.95.1.0/24", []byte{4}},
		{"router: administratively prohibited", "ip route add prohibit 10.95.2.0/24", []byte{2, 4}},
		{"router: network unreachable", "ip rule add pref 49 to 10.95.3.0/24 unreachable", []byte{3}},
		{"filter: port unreachable", "iptables -A FORWARD -p tcp -d 10.95.4.0/24 -j REJECT --reject-with icmp-port-unreachable", []byte{5}},
		{"filter: reset", "iptables -A FORWARD -p tcp -d 10.95.5.0/24 -j REJECT --reject-with tcp-reset", []byte{5}},
	}
	for i, tc := range tests {
		name, _, _ := strings.Cut(tc.router, " ")
		if _, err := exec.LookPath(name); err != nil {
			t.Logf("%s: not tried: %v", tc.name, err)
			continue
		}
		if i == 3 { // what is filtered would otherwise have nowhere to go
			run(b.lab.Client(), fmt.Sprintf("ip route add 10.95.4.0/23 via %s dev %s onlink", b.lab.Path(0).ServerAddr(), b.lab.Path(0).Name()))
		}
		if run(b.lab.Client(), tc.router) {
			start := time.Now()
			b.testReply(t, tc.name, fmt.Sprintf("10.95.%d.1:80", i+1), tc.want...)
			if took := time.Since(start); took >= 10*time.Second { // that of a target that says nothing
				t.Errorf("%s: the reply took %v, want it when the router has spoken", tc.name, took)
			}
		}
	}
}

// stranger connects to the egress from path i, says something, and returns what
// comes back until the connection ends.
func (b *bed) stranger(t *testing.T, i int, say []byte) (answer []byte) {
	t.Helper()
	from := &net.TCPAddr{IP: b.lab.Path(i).ClientAddr().AsSlice()}
	c, err := b.lab.Client().DialFrom(t.Context(), from, "tcp", labEgress)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(say); err != nil {
		t.Error(err)
	}
	answer, err = io.ReadAll(c)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after %q: %v", clip(string(say), 40), err)
	}
	return answer
}

// testGarbage says what does not belong there.
func (b *bed) testGarbage(t *testing.T) {
	start := time.Now()
	var wg sync.WaitGroup
	for _, say := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "SSH-2.0-OpenSSH_9.9\r\n", "\x05\x01\x00\x05\x01\x00", strings.Repeat("\x00", 5000), strings.Repeat("\xff", 1<<16),
	} {
		wg.Go(func() {
			if got := b.stranger(t, 0, []byte(say)); len(got) > 0 {
				t.Errorf("answer to %q: %q, want none", clip(say, 40), got)
			}
		})
	}
	wg.Wait()
	b.egress.line(t, "not tls")
	n := b.egress.lines("connection refused", "not tls")
	t.Logf("%d lines about 5 connections in %v", n, round(time.Since(start)))
	if n != 1 && time.Since(start) < 8*time.Second { // such lines are spared for 10 s
		t.Errorf("%d lines about garbage, want one", n)
	}
}

// testOtherTLS comes with TLS, but not with what the egress speaks over it, nor
// with a key.
func (b *bed) testOtherTLS(t *testing.T) {
	for name, cfg := range map[string]*tls.Config{
		"http/1.1": {NextProtos: []string{"http/1.1"}}, "no protocol": {}, "TLS 1.2": {MaxVersion: tls.VersionTLS12}, "no key": {NextProtos: []string{"mpsocks/1"}},
	} {
		cfg.InsecureSkipVerify = true
		raw := &heard{Conn: b.dial(t, labEgress)}
		c := tls.Client(raw, cfg)
		_ = c.SetDeadline(time.Now().Add(patience))
		// In TLS 1.3 the client has shaken hands before the server has seen its key.
		n, err := c.Read(make([]byte, 1))
		t.Logf("TLS with %s: %d bytes on the wire, then %v", name, raw.n, err)
		var alert tls.AlertError
		if n > 0 || err == nil || errors.As(err, &alert) || strings.Contains(err.Error(), "remote error") {
			t.Errorf("TLS with %s: %d bytes, %v, want silence", name, n, err)
		}
		if needs := name == "http/1.1" || name == "TLS 1.2"; needs && raw.n > 0 {
			t.Errorf("TLS with %s: %d bytes came back, want none", name, raw.n)
		}
	}
}

// heard counts what comes back.
type heard struct {
	net.Conn
	n int
}

// Read implements io.Reader.
func (h *heard) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	h.n += n
	return n, err
}

// testHalfOpen says nothing, or not all of it, and waits to be thrown out.
func (b *bed) testHalfOpen(t *testing.T, say string) {
	start := time.Now()
	if got := b.stranger(t, 1, []byte(say)); len(got) > 0 {
		t.Errorf("answer to %q: %q, want none", say, got)
	}
	t.Logf("%q and no more: thrown out after %v", say, round(time.Since(start)))
}

// otherClient makes the files of another client of this egress and returns the
// name of its configuration.
func (b *bed) otherClient(t *testing.T, dir, port string, link configs.Link) string {
	t.Helper()
	runProgram(t, b.lab.Client(), "join", link.Encode(), "--dir", b.file(dir))
	file := b.file(dir, clientFile)
	edit(t, file, labSocks, "127.0.0.1:"+port)
	edit(t, file, "paths: auto", "admin: {listen: off}\n"+b.paths(false))
	return file
}

// linkOf reads the link to another egress, which is made for it, at this address.
func (b *bed) linkOf(t *testing.T, dir string) configs.Link {
	t.Helper()
	text := runProgram(t, b.lab.Server(), "init", "--dir", b.file(dir), "--address", labEgress, "--client", "stranger")
	link, err := configs.ParseLink(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// testRefused runs a client that the egress does not want, or that does not
// want the egress, and checks that it gets nowhere.
func (b *bed) testRefused(t *testing.T, file, port, clientSays, egressSays string) {
	c := startProgram(t, t, b.lab.Client(), nil, "client", "-c", file)
	c.line(t, " ready ")
	start := time.Now()
	code, err := b.reply("127.0.0.1:"+port, labTarget)
	t.Logf("reply %d after %v", code, round(time.Since(start)))
	if code != 1 || err != nil {
		t.Errorf("reply %d, %v, want 1", code, err)
	}
	t.Logf("client: %s", c.line(t, clientSays))
	b.egress.line(t, egressSays)
	lasts(2 * time.Second) // it tries again and again
	told := b.egress.lines("connection refused", egressSays)
	t.Logf("%d lines at the egress, %d at the client", told, c.lines(clientSays))
	if sources := len(b.lab.Paths()); told > sources && time.Since(start) < 8*time.Second {
		t.Errorf("%d lines at the egress that say %q, want one for each of %d addresses", told, egressSays, sources)
	}
	c.signal(t, syscall.SIGTERM)
	if code := c.ended(t); code != exitOK {
		t.Errorf("client ended with %d", code)
	}
}

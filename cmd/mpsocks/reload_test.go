package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/socks"
)

// Every setting is one that a reload puts into effect, or one that needs a restart: a new
// one has to be thought about.
func TestEverySettingReloadsOrNot(t *testing.T) {
	for _, v := range configs.Variables() {
		for _, side := range []struct {
			has           bool
			name          string
			live, restart []string
		}{{v.Client, "client", liveClient, restartClient}, {v.Egress, "egress", liveEgress, restartEgress}} {
			live, restart := slices.Contains(side.live, v.Setting), slices.Contains(side.restart, v.Setting)
			if side.has && live == restart {
				t.Errorf("%s of the %s: put it into exactly one list of reload.go: what a reload puts into effect, or what needs a restart", v.Setting, side.name)
			}
			if !side.has && (live || restart) {
				t.Errorf("reload.go lists %s for the %s, which has no such setting", v.Setting, side.name)
			}
		}
	}
}

// sides are a client and an egress that run, each with a file and a way to have it read again.
type sides struct {
	client, egress           *daemon
	clientFile, egressFile   string
	clientAgain, egressAgain chan os.Signal
	socks, clientAdmin       string
}

// launchAgain is launch with a signal that has the configuration read again.
func launchAgain(t *testing.T, again chan os.Signal, args ...string) *daemon {
	t.Helper()
	d := &daemon{signals: make(chan os.Signal, 2), out: newWatched(), err: newWatched(), desktop: noDesktop, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		d.code = run(context.Background(), args, env{in: strings.NewReader(""), out: d.out, err: d.err, signals: d.signals, again: again, desktop: noDesktop})
		d.out.end()
		d.err.end()
	}()
	t.Cleanup(func() { d.stop() })
	return d
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func launchSides(t *testing.T) *sides {
	t.Helper()
	s := &sides{clientAgain: make(chan os.Signal), egressAgain: make(chan os.Signal), socks: freePort(t), clientAdmin: freePort(t)}
	s.clientFile, s.egressFile = pairOfFiles(t, freePort(t))
	edit(t, s.egressFile, "clients:", "targets: {allow: [127.0.0.0/8]}\nadmin: {listen: \""+freePort(t)+"\"}\nclients:")
	edit(t, s.clientFile, "listen: 127.0.0.1:1080", "listen: ["+s.socks+"]")
	edit(t, s.clientFile, "paths: auto", "paths: [{name: one, source: 127.0.0.1}, {name: two, source: 127.0.0.2}]\nadmin: {listen: \""+s.clientAdmin+"\"}")
	s.egress = launchAgain(t, s.egressAgain, "egress", "-c", s.egressFile)
	s.egress.err.line(t, "ready")
	s.client = launchAgain(t, s.clientAgain, "client", "-c", s.clientFile)
	s.client.err.line(t, "ready")
	return s
}

// connectThrough is a connection to target through a SOCKS5 port.
func connectThrough(ctx context.Context, proxy, target string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", proxy)
	if err != nil {
		return nil, err
	}
	to, err := socks.ParseTarget(target)
	if err != nil {
		return nil, err
	}
	if _, err := (&socks.Handshake{Target: to}).Do(ctx, c); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// turns counts what all talks have said.
type turns struct {
	mu   sync.Mutex
	more *sync.Cond
	n    int
}

func (t *turns) add() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	t.more.Broadcast()
}

// giveUp has nobody wait any more.
func (t *turns) giveUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n += 1 << 30
	t.more.Broadcast()
}

// wait returns when n more have been said.
func (t *turns) wait(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n += t.n; t.n < n; {
		t.more.Wait()
	}
}

// talk exchanges blocks over c until stop is closed, then ends, and returns what went
// wrong.
func talk(c net.Conn, seed int, stop <-chan struct{}, said *turns) error {
	defer c.Close()
	block, got := make([]byte, 3000), make([]byte, 3000)
	for turn := 0; ; turn++ {
		select {
		case <-stop:
			if err := c.(*net.TCPConn).CloseWrite(); err != nil {
				return err
			}
			rest, err := io.ReadAll(c)
			if err == nil && len(rest) > 0 {
				err = fmt.Errorf("%d octets that nobody has sent", len(rest))
			}
			return err
		default:
		}
		sum := sha256.Sum256([]byte(fmt.Sprint(seed, turn)))
		for i := range block {
			block[i] = sum[i%len(sum)] + byte(i>>5)
		}
		if _, err := c.Write(block); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, got); err != nil {
			return err
		}
		if !bytes.Equal(block, got) {
			return fmt.Errorf("turn %d: other octets came back than were sent", turn)
		}
		said.add()
	}
}

// TestReloadUnderLoad has everything that can change changed, wrongly now and then, below
// 200 connections that carry data. None may break, and none that comes meanwhile.
func TestReloadUnderLoad(t *testing.T) {
	s := launchSides(t)
	target := echoTarget(t)
	stop := make(chan struct{})
	finish := sync.OnceFunc(func() { close(stop) })
	t.Cleanup(finish)
	const conns = 200
	ended := make(chan error, conns)
	said := &turns{}
	said.more = sync.NewCond(&said.mu)
	var open []net.Conn
	for i := range conns {
		c, err := connectThrough(t.Context(), s.socks, target)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		open = append(open, c)
	}
	for i, c := range open {
		go func() {
			err := talk(c, i, stop, said)
			if err != nil {
				said.giveUp()
			}
			ended <- err
		}()
	}
	// New connections come all the while, as from a browser.
	comers := make(chan error, 1)
	go func() {
		for {
			c, err := connectThrough(context.Background(), s.socks, target)
			if err == nil {
				done := make(chan struct{})
				close(done)
				err = talk(c, -1, done, said)
			}
			select {
			case <-stop:
				comers <- err
				return
			default:
			}
			if err != nil {
				comers <- err
				return
			}
		}
	}()

	clientText, egressText := read(t, filepath.Dir(s.clientFile), clientFile), read(t, filepath.Dir(s.egressFile), egressFile)
	second := freePort(t)
	client := func(change ...string) { s.rewrite(t, s.clientFile, clientText, change) }
	egress := func(change ...string) { s.rewrite(t, s.egressFile, egressText, change) }
	for round := range byte(2) {
		said.wait(conns) // in the midst of it
		client("listen: ["+s.socks+"]", "listen: ["+s.socks+", \""+second+"\"]\n  reply: optimistic")
		s.reload(t, s.client, s.clientAgain, "socks.listen, socks.reply (default -> optimistic)")
		client("{name: two, source: 127.0.0.2}", "{name: two, source: 127.0.0.2, role: backup}, {name: three, source: 127.0.0.3}")
		s.reload(t, s.client, s.clientAgain, "socks.listen, socks.reply (optimistic -> default), paths")
		said.wait(conns)
		client("\npaths:", "\npaths: [{name: one, source: 127.0.0.4}]\npahts:")
		s.refuse(t, s.client, s.clientAgain, ":1: pahts: is not a known key")
		client("{name: one, source: 127.0.0.1}", "{name: one, source: 127.0.0.5}")
		s.reload(t, s.client, s.clientAgain, "paths")
		said.wait(conns)
		egress("clients:", "limits: {streams: 300, dials: 500}\nlog: {level: debug}\nclients:\n  - name: other\n    key: "+(configs.Key{round + 1}).String())
		s.reload(t, s.egress, s.egressAgain, "clients, limits.streams (default -> 300), limits.dials (default -> 500), log.level (default -> debug)")
		egress("allow: [127.0.0.0/8]", "allow: [127.0.0.0/8], deny: [192.0.2.0/33]")
		s.refuse(t, s.egress, s.egressAgain, `targets.deny[0]: "192.0.2.0/33"`)
		egress()
		s.reload(t, s.egress, s.egressAgain, "clients, limits.streams (300 -> default), limits.dials (500 -> default), log.level (debug -> default)")
		said.wait(conns)
		client()
		s.reload(t, s.client, s.clientAgain, "paths")
	}
	said.wait(conns)
	finish()
	broken := 0
	for range conns {
		if err := <-ended; err != nil {
			broken++
			t.Logf("broken: %v", err)
		}
	}
	if broken > 0 {
		t.Errorf("%d of %d connections broken by reloads, want none", broken, conns)
	}
	if err := <-comers; err != nil {
		t.Errorf("a connection that came during the reloads: %v", err)
	}
}

// rewrite puts the original text into a file, with pairs of old and new in it.
func (s *sides) rewrite(t *testing.T, file, text string, change []string) {
	t.Helper()
	for i := 0; i < len(change); i += 2 {
		if !strings.Contains(text, change[i]) {
			t.Fatalf("%s has no %q", file, change[i])
		}
	}
	write(t, filepath.Dir(file), filepath.Base(file), strings.NewReplacer(change...).Replace(text))
}

// reload sends the signal and waits until the log says what has changed. Whoever else
// waits for the same words would be answered by an earlier line: the count tells.
func (s *sides) reload(t *testing.T, d *daemon, again chan os.Signal, changed string) {
	t.Helper()
	before := strings.Count(d.err.String(), "configuration")
	again <- syscall.SIGHUP
	line := d.err.lineAfter(t, "configuration", before)
	if !strings.Contains(line, "configuration read again") || !strings.Contains(line, "changed=\""+changed+"\"") && !strings.Contains(line, "changed="+changed+" ") && !strings.HasSuffix(line, "changed="+changed+"\n") {
		t.Fatalf("the log says\n%swant\n%s", line, changed)
	}
}

// refuse sends the signal and waits until the log says that the file is wrong.
func (s *sides) refuse(t *testing.T, d *daemon, again chan os.Signal, why string) {
	t.Helper()
	before := strings.Count(d.err.String(), "configuration")
	again <- syscall.SIGHUP
	line := d.err.lineAfter(t, "configuration", before)
	if !strings.Contains(line, "configuration not taken, the old one stays") || !strings.Contains(strings.ReplaceAll(line, `\"`, `"`), why) {
		t.Fatalf("the log says\n%swant the old configuration to stay, and\n%s", line, why)
	}
}

// lineAfter waits for the line with part in it that has n such lines before it.
func (w *watched) lineAfter(t *testing.T, part string, n int) string {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		seen := 0
		for line := range strings.Lines(w.text) {
			if !strings.HasSuffix(line, "\n") || !strings.Contains(line, part) {
				continue
			}
			if seen == n {
				return line
			}
			seen++
		}
		if w.ended {
			t.Fatalf("ended without %d lines with %q; it wrote:\n%s", n+1, part, w.text)
		}
		w.more.Wait()
	}
}

// TestReloadCommand asks over the admin port.
func TestReloadCommand(t *testing.T) {
	s := launchSides(t)
	target := webTarget(t, []byte("here"))
	fetch(t, throughSocks(t, nil, s.socks), target.URL, []byte("here"))
	if got := mpsocks(t, "", "reload", "-c", s.clientFile); got.code != exitOK || got.out != "nothing has changed\n" {
		t.Errorf("reload of the same = %+v", got)
	}
	edit(t, s.clientFile, "socks:\n", "memory: 8MiB\nlog: {level: debug}\nsocks:\n  users: {alice: secret}\n")
	want := "changed:         socks.users (default -> ...)\nchanged:         log.level (default -> debug)\nneeds a restart: memory (default -> 8MiB)\n"
	if got := mpsocks(t, "", "reload", "-c", s.clientFile); got.code != exitOK || got.out != want {
		t.Errorf("reload = %+v\nwant %s", got, want)
	}
	if _, err := throughSocks(t, nil, s.socks).Get(target.URL); err == nil {
		t.Error("no password is asked for after a reload that wants one")
	}
	fetch(t, throughSocks(t, url.UserPassword("alice", "secret"), s.socks), target.URL, []byte("here"))
	if got := mpsocks(t, "", "reload", "-c", s.clientFile); got.out != "needs a restart: memory (default -> 8MiB)\n" {
		t.Errorf("reload again = %+v, want what still waits for a restart", got)
	}

	// A port that is taken: what was changed besides is not taken either.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	edit(t, s.clientFile, "users: {alice: secret}", "users: {bob: secret}")
	edit(t, s.clientFile, "listen: [", "listen: ["+taken.Addr().String()+", ")
	got := mpsocks(t, "", "reload", "-c", s.clientFile)
	if got.code != exitUsage || !strings.Contains(got.err, s.clientFile+":12:") || !strings.Contains(got.err, "socks.listen: listen tcp "+taken.Addr().String()) {
		t.Errorf("reload with a port that is taken = %+v", got)
	}
	fetch(t, throughSocks(t, url.UserPassword("alice", "secret"), s.socks), target.URL, []byte("here"))

	// What is wrong with the file is said here, and in the log of the program.
	edit(t, s.clientFile, "memory: 8MiB", "memory: 8")
	if got := mpsocks(t, "", "reload", "-c", s.clientFile); got.code != exitUsage || !strings.Contains(got.err, s.clientFile+":8:9: memory: must be auto or a size") {
		t.Errorf("reload of a wrong file = %+v", got)
	} else if !strings.Contains(got.err, "nothing was changed; it goes on with the old configuration\n") {
		t.Errorf("reload of a wrong file = %+v, want what stays", got)
	}
	s.client.err.line(t, "memory: must be auto or a size")
	s.client.stop()
	edit(t, s.clientFile, "memory: 8", "memory: 8MiB")
	if got := mpsocks(t, "", "reload", "-c", s.clientFile); got.code != exitFailure || !strings.Contains(got.err, "nothing answers at "+s.clientAdmin) {
		t.Errorf("reload of nobody = %+v", got)
	}
}

// An egress that no longer has a client in its file shuts him out.
func TestReloadRemovesClient(t *testing.T) {
	s := launchSides(t)
	target := echoTarget(t)
	c, err := connectThrough(t.Context(), s.socks, target)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	text := read(t, filepath.Dir(s.egressFile), egressFile)
	i := strings.Index(text, "clients:\n")
	j := i + strings.Index(text[i:], "\n\n")
	write(t, filepath.Dir(s.egressFile), egressFile, text[:i]+"clients: []"+text[j:])
	if got := mpsocks(t, "", "reload", "-c", s.egressFile); got.code != exitOK || got.out != "changed:         clients\n" {
		t.Fatalf("reload = %+v", got)
	}
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d octets of a client who was removed", n)
	}
}

// The port itself moves: 127.0.0.1:PORT stands in the way of :PORT.
func TestReloadWidensPort(t *testing.T) {
	s := launchSides(t)
	target := webTarget(t, []byte("here"))
	_, port, err := net.SplitHostPort(s.socks)
	if err != nil {
		t.Fatal(err)
	}
	edit(t, s.clientFile, "listen: ["+s.socks+"]", "listen: [\"0.0.0.0:"+port+"\"]\n  allow_clients: [127.0.0.0/8]")
	if got := mpsocks(t, "", "reload", "-c", s.clientFile); got.code != exitOK || !strings.Contains(got.out, "socks.listen") {
		t.Fatalf("reload = %+v", got)
	}
	fetch(t, throughSocks(t, nil, s.socks), target.URL, []byte("here"))
}

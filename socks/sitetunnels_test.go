package socks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mpsocks/mpsocks/internal/netsim"
)

// A target that never answers is told to the client before it gives up by itself.
func TestSilentTarget(t *testing.T) {
	onSite(t, FrontConfig{}, func(s *site) {
		c := s.client()
		defer c.Close()
		start := time.Now()
		h := Handshake{Target: mustTarget(s.t, "good.example:2")}
		if _, err := h.Do(s.t.Context(), c); replyIn(err) != ReplyHostUnreachable || time.Since(start)-defaultDialTimeout > instant {
			s.t.Errorf("%v after %v, want host unreachable after %v", err, time.Since(start), defaultDialTimeout)
		}
	})
}

// A client that goes away while its target is being connected to ends that at once, whichever way it goes.
func TestLeavingEndsTheDial(t *testing.T) {
	for name, leave := range map[string]func(c *netsim.Conn){
		"reset": func(c *netsim.Conn) { _ = c.Reset() }, "close": func(c *netsim.Conn) { _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			onSite(t, FrontConfig{}, func(s *site) {
				c := s.client()
				mustWrite(s.t, c, []byte(greeting+"\x05\x01\x00\x03\x0cgood.example\x00\x02"))
				time.Sleep(instant)
				synctest.Wait()
				if _, dials := s.counts(); dials != 1 {
					s.t.Fatalf("%d connections to targets are under way, want 1", dials)
				}
				start := time.Now()
				leave(c)
				ended, cancel := context.WithTimeout(s.t.Context(), time.Hour)
				defer cancel()
				if err := s.front.Shutdown(ended); err != nil || time.Since(start) > instant {
					s.t.Errorf("shutdown = %v after %v, want that nothing is left", err, time.Since(start))
				}
			})
		})
	}
}

// Many connections that come and go, by an end or by a reset, leave nothing behind.
func TestChurn(t *testing.T) {
	onSite(t, FrontConfig{}, func(s *site) {
		for i := range 300 {
			client, target := s.tunnel()
			mustWrite(s.t, client, []byte("x"))
			wantRead(s.t, target, []byte("x"))
			if i%2 == 0 {
				_ = client.(*netsim.Conn).Reset()
				if _, err := target.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
					s.t.Fatalf("tunnel %d: the target read %v, want a reset", i, err)
				}
			} else {
				_ = client.(*netsim.Conn).CloseWrite()
				wantEnd(s.t, target)
				_ = target.(*netsim.Conn).CloseWrite()
				wantEnd(s.t, client)
			}
			client.Close()
			target.Close()
		}
		ended, cancel := context.WithTimeout(s.t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		if err := s.front.Shutdown(ended); err != nil || time.Since(start) > instant {
			s.t.Errorf("shutdown = %v after %v, want that nothing is left", err, time.Since(start))
		}
	})
}

// Tunnels that lie idle for a day are there when they are used again.
func TestIdleTunnelsStay(t *testing.T) {
	onSite(t, FrontConfig{}, func(s *site) {
		const idle = 200
		var ends [][2]net.Conn
		for range idle {
			client, target := s.tunnel()
			defer client.Close()
			defer target.Close()
			ends = append(ends, [2]net.Conn{client, target})
		}
		time.Sleep(24 * time.Hour)
		for _, e := range ends {
			mustWrite(s.t, e[1], []byte("y"))
			wantRead(s.t, e[0], []byte("y"))
		}
	})
}

// A client that stops reading holds up its own target after little data, and nobody else; when it reads again it misses nothing, and when
// it never does both ends are told.
func TestClientThatStopsReading(t *testing.T) {
	for name, resumes := range map[string]bool{"and goes on": true, "for ever": false} {
		t.Run(name, func(t *testing.T) {
			onSite(t, FrontConfig{}, func(s *site) {
				client, target := s.tunnel()
				defer client.Close()
				defer target.Close()
				data := randomBytes(8 << 20)
				sent := make(chan error, 1)
				written := 0
				go func() {
					for off := 0; off < len(data); off += 4 << 10 {
						if _, err := target.Write(data[off : off+4<<10]); err != nil {
							sent <- err
							return
						}
						written = off + 4<<10
					}
					sent <- nil
				}()
				time.Sleep(time.Second)
				synctest.Wait()
				const most = 4 << 20
				if written > most {
					s.t.Errorf("%d bytes are under way to a client that does not read, want at most %d", written, most)
				}
				other, otherTarget := s.tunnel()
				defer other.Close()
				defer otherTarget.Close()
				mustWrite(s.t, otherTarget, []byte("not held up"))
				wantRead(s.t, other, []byte("not held up"))
				if resumes {
					time.Sleep(time.Minute)
					wantRead(s.t, client, data)
					if err := <-sent; err != nil {
						s.t.Error(err)
					}
					return
				}
				if err := <-sent; !errors.Is(err, syscall.ECONNRESET) {
					s.t.Errorf("the target's write ended in %v, want a reset", err)
				}
				if _, err := io.Copy(io.Discard, client); err == nil {
					s.t.Error("the client read a clean end")
				}
			})
		})
	}
}

// A side that has closed its connection altogether looks just like one that has only finished sending: while the other one says nothing it is waited
// for, but not for ever.
func TestSilenceAfterAnEnd(t *testing.T) {
	for name, pick := range map[string]func(client, target net.Conn) (gone, silent net.Conn){
		"of the client": func(client, target net.Conn) (gone, silent net.Conn) { return client, target },
		"of the target": func(client, target net.Conn) (gone, silent net.Conn) { return target, client },
	} {
		t.Run(name, func(t *testing.T) {
			onSite(t, FrontConfig{}, func(s *site) {
				gone, silent := pick(s.tunnel())
				defer silent.Close()
				start := time.Now()
				gone.Close()
				wantEnd(s.t, silent)
				if took := time.Since(start); took > instant {
					s.t.Errorf("the end was told after %v, want at once", took)
				}
				if err := s.front.Shutdown(s.t.Context()); err != nil {
					s.t.Error(err)
				}
				if took := time.Since(start); took < 30*time.Second || took > time.Minute {
					s.t.Errorf("the tunnel was there for %v, want at most a minute", took)
				}
				time.Sleep(instant)
				if _, err := silent.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
					s.t.Errorf("the silent side's write ended in %v, want a reset", err)
				}
			})
		})
	}
}

// A side that breaks off after some bytes has the other one read all of them, and then a reset, however late that reads; never an end.
func TestBrokenOffAfterBytes(t *testing.T) {
	for name, pick := range map[string]func(client, target net.Conn) (from, to net.Conn){
		"target": func(client, target net.Conn) (from, to net.Conn) { return target, client },
		"client": func(client, target net.Conn) (from, to net.Conn) { return client, target },
	} {
		for _, n := range []int{0, 1, 4096, 100_000} {
			t.Run(fmt.Sprintf("%s after %d", name, n), func(t *testing.T) {
				onSite(t, FrontConfig{}, func(s *site) {
					from, to := pick(s.tunnel())
					defer to.Close()
					sent := randomBytes(n)
					mustWrite(s.t, from, sent)
					time.Sleep(time.Second) // it is under way: a reset takes back what has not left
					_ = from.(*netsim.Conn).Reset()
					time.Sleep(time.Second)
					got, err := io.ReadAll(to)
					if !bytes.Equal(got, sent) || !errors.Is(err, syscall.ECONNRESET) {
						s.t.Errorf("read %d bytes and %v, want %d and a reset", len(got), err, n)
					}
				})
			})
		}
	}
}

package socks

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Content that cannot be read is the client's fault, not the target's.
func TestForwardMalformedContent(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer s.Close()
	front := joined(t, false)
	for _, chunks := range []string{
		"zz\r\n", "4\r\nabcdX\r\n0\r\n\r\n", "-1\r\n", "fffffffffffffffff\r\n", "4;" + string(make([]byte, 70_000)) + "\r\n",
		"4\r\nabcd\r\nzz\r\n",
	} {
		c := mustDial(t, front)
		resp, body := exchange(t, c, bufio.NewReader(c), "POST "+s.URL+"/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"+chunks)
		if resp.StatusCode != http.StatusBadRequest || !resp.Close || body != "mpsocks: the content of the request is malformed\n" {
			t.Errorf("chunks %.20q: status %d, closes: %v, %q; want 400 and an end", chunks, resp.StatusCode, resp.Close, body)
		}
	}
}

// A target that leaves while it is sent to is the target's fault.
func TestForwardTargetLeaves(t *testing.T) {
	target := serveEach(t, func(c net.Conn) { _, _ = readRawHead(bufio.NewReader(c)) })
	c := mustDial(t, joined(t, false))
	resp, _ := exchange(t, c, bufio.NewReader(c), "POST http://"+target+"/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n")
	if resp.StatusCode != http.StatusBadGateway {
		t.Errorf("status %d, want 502", resp.StatusCode)
	}
}

// An answer that comes before all of the content has been sent is a whole one.
func TestForwardEarlyAnswer(t *testing.T) {
	target := serveEach(t, func(c net.Conn) {
		_, _ = readRawHead(bufio.NewReader(c))
		_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno!\r\n0\r\n\r\n")
	})
	c := mustDial(t, joined(t, false))
	resp, body := exchange(t, c, bufio.NewReader(c), "POST http://"+target+"/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabcd")
	if resp.StatusCode != http.StatusRequestEntityTooLarge || body != "no!" {
		t.Errorf("status %d, %q; want 413 with its content", resp.StatusCode, body)
	}
}

// A client that has its answer and still owes content is not waited for, and what it sends after all is not taken for a request.
func TestForwardUnsentContent(t *testing.T) {
	for name, expects := range map[string]string{"sent unasked": "", "asked for": "Expect: 100-continue\r\n"} {
		for _, late := range []string{"", "GET http://smuggled.example/ HTTP/1.1\r\nHost: x\r\n\r\n", string(make([]byte, 2*maxOwed))} {
			t.Run(fmt.Sprintf("%s, %d late", name, len(late)), func(t *testing.T) {
				onSite(t, FrontConfig{}, func(s *site) {
					c := s.client()
					defer c.Close()
					mustWrite(s.t, c, []byte("POST http://good.example/ HTTP/1.1\r\nHost: x\r\n"+expects+"Content-Length: 5000000\r\n\r\n"))
					target := <-s.targets
					defer target.Close()
					if _, err := readRawHead(bufio.NewReader(target)); err != nil {
						s.t.Fatal(err)
					}
					start := time.Now()
					mustWrite(s.t, target, []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n0\r\n\r\n"))
					r := bufio.NewReader(c)
					resp, err := http.ReadResponse(r, nil)
					for err == nil && resp.StatusCode == http.StatusContinue { // may come before it, and means nothing
						resp, err = http.ReadResponse(r, nil)
					}
					if err != nil {
						s.t.Fatal(err)
					}
					if body, err := io.ReadAll(resp.Body); string(body) != "early" || err != nil {
						s.t.Errorf("content %q, %v", body, err)
					}
					sent := make(chan struct{})
					go func() {
						defer close(sent)
						_, _ = c.Write([]byte(late))
					}()
					rest, err := io.ReadAll(r)
					if took := time.Since(start); len(rest) > 0 || took > contentLinger+instant {
						s.t.Errorf("behind the answer %q, %v after %v; want an end", rest, err, took)
					}
					time.Sleep(contentLinger)
					<-sent
					if _, dials := s.counts(); dials != 1 {
						s.t.Errorf("%d connections to targets, want 1", dials)
					}
				})
			})
		}
	}
}

// A connection ends behind a request that may tell the length of its content in two ways; what follows on it is not read as a request.
func TestForwardDoubtfulLength(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "answer")
	}))
	defer s.Close()
	front := joined(t, false)
	const smuggled = "GET http://smuggled.example/ HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, tc := range map[string]struct {
		head, content string
		closes        bool
	}{
		"both":                 {" HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", true},
		"both, other way":      {" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n", true},
		"chunked in 1.0":       {" HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", true},
		"length":               {" HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n", "01234", false},
		"length kept open 1.0": {" HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0\r\n", "", false},
	} {
		c := mustDial(t, front)
		r := bufio.NewReader(c)
		resp, body := exchange(t, c, r, "POST "+s.URL+"/"+tc.head+"\r\n"+tc.content+smuggled)
		if resp.StatusCode != http.StatusOK || body != "answer" || resp.Close != tc.closes {
			t.Errorf("%s: status %d, %q, closes: %v; want 200 and %v", name, resp.StatusCode, body, resp.Close, tc.closes)
		}
		if !tc.closes {
			continue
		}
		if rest, _ := io.ReadAll(r); len(rest) > 0 {
			t.Errorf("%s: behind the answer came %q, want the end", name, rest)
		}
	}
}

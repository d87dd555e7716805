package socks

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mpsocks/mpsocks/internal/netsim"
)

// rawTarget is a target of plain HTTP that answers every request on a connection by what answer returns of the number of the connection and
// the head it got.
func rawTarget(t *testing.T, answer func(conn int, head string) string) (addr string) {
	t.Helper()
	var mu sync.Mutex
	conns := 0
	return serveEach(t, func(c net.Conn) {
		mu.Lock()
		conns++
		number := conns
		mu.Unlock()
		r := bufio.NewReader(c)
		for {
			head, err := readRawHead(r)
			if err != nil {
				return
			}
			if _, err := io.WriteString(c, answer(number, head)); err != nil {
				return
			}
		}
	})
}

func readRawHead(r *bufio.Reader) (string, error) {
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		head.WriteString(line)
		if line == "\r\n" {
			return head.String(), nil
		}
	}
}

func okAnswer(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// exchange sends one request as it stands and returns the answer with its content.
func exchange(t *testing.T, c net.Conn, r *bufio.Reader, request string) (*http.Response, string) {
	t.Helper()
	mustWrite(t, c, []byte(request))
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%q: content %q, %v", request, body, err)
	}
	return resp, string(body)
}

// What a target is asked for is what the client has asked for, byte by byte; the method is the client's, too.
func TestForwardRequestLines(t *testing.T) {
	target := rawTarget(t, func(_ int, head string) string {
		line, _, _ := strings.Cut(head, "\r\n")
		return okAnswer(line)
	})
	c := mustDial(t, joined(t, false))
	r := bufio.NewReader(c)
	tests := []struct{ method, uri, want string }{
		{"GET", "", "/"},
		{"GET", "/", "/"},
		{"GET", "?a=b", "/?a=b"},
		{"GET", "?", "/?"},
		{"GET", "/?", "/?"},
		{"GET", "/a%2Fb%2fb/%7Euser/~user", "/a%2Fb%2fb/%7Euser/~user"},
		{"GET", "/a/../b/./c//d", "/a/../b/./c//d"},
		{"GET", "//a//b", "//a//b"},
		{"GET", "//a|b", "http://TARGET//a|b"},
		{"GET", "/{a}|b^\"<c>`\\d", "/{a}|b^\"<c>`\\d"},
		{"GET", "/\xc3\xa4\xff", "/\xc3\xa4\xff"},
		{"GET", "/a;b=c,d?e;f&g=%zz&&=", "/a;b=c,d?e;f&g=%zz&&="},
		{"GET", "/a?b?c", "/a?b?c"},
		{"OPTIONS", "", "*"},
		{"OPTIONS", "/", "/"},
		{"OPTIONS", "?a", "/?a"},
		{"DELETE", "/", "/"},
		{"PATCH", "/", "/"},
		{"TRACE", "/", "/"},
		{"LOCK", "/", "/"},
		{"UNLOCK", "/", "/"},
		{"MKCOL", "/", "/"},
		{"COPY", "/", "/"},
		{"CHECKOUT", "/", "/"},
		{"CONNECTED", "/", "/"},
		{"VERSION-CONTROL", "/", "/"},
		{"REPORT", "/", "/"},
		{"SEARCH", "/", "/"},
		{"BREW", "/", "/"},
		{"get", "/", "/"},
		{"M-SEARCH", "/", "/"},
		{"!#$%&'*+-.^_`|~0", "/", "/"},
	}
	for _, tt := range tests {
		_, got := exchange(t, c, r, tt.method+" http://"+target+tt.uri+" HTTP/1.1\r\nHost: x\r\n\r\n")
		if want := tt.method + " " + strings.Replace(tt.want, "TARGET", target, 1) + " HTTP/1.1"; got != want {
			t.Errorf("%s of %q: the target was asked %q, want %q", tt.method, tt.uri, got, want)
		}
	}
}

func TestForwardRefusesRequests(t *testing.T) {
	front := joined(t, false)
	for said, status := range map[string]int{
		"GET ftp://a.b/ HTTP/1.1\r\nHost: x\r\n\r\n":                               400,
		"GET https://a.b/ HTTP/1.1\r\nHost: x\r\n\r\n":                             400,
		"GET http:a HTTP/1.1\r\nHost: x\r\n\r\n":                                   400,
		"GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n":                                400,
		"GET * HTTP/1.1\r\nHost: x\r\n\r\n":                                        400,
		"GET http://me:pw@a.b/ HTTP/1.1\r\nHost: x\r\n\r\n":                        400,
		"OPTIONS http://a.b/ HTTP/1.1\r\nHost: x\r\nMax-Forwards: x\r\n\r\n":       400,
		"GET http://a.b/#c HTTP/1.1\r\nHost: x\r\n\r\n":                            400,
		"GET http://a.b/?c#d HTTP/1.1\r\nHost: x\r\n\r\n":                          400,
		"TRACE http://a.b/ HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\nY: z\r\n\r\n": 405,
	} {
		c := mustDial(t, front)
		resp, body := exchange(t, c, bufio.NewReader(c), said)
		if resp.StatusCode != status || !strings.HasPrefix(body, "mpsocks: ") || !resp.Close {
			t.Errorf("%q: status %d, %q, closes: %v; want %d, a line of ours, and an end", said, resp.StatusCode, body, resp.Close, status)
		}
		if allow := resp.Header.Get("Allow"); (allow != "") != (status == 405) {
			t.Errorf("%q: allowed is %q", said, allow)
		}
	}
}

// Proxies count themselves out of OPTIONS and TRACE, and answer where the count ends; other methods have no count.
func TestForwardMaxForwards(t *testing.T) {
	target := rawTarget(t, func(_ int, head string) string { return okAnswer(head) })
	c := mustDial(t, joined(t, false))
	r := bufio.NewReader(c)
	for _, tt := range []struct{ request, limit, want string }{
		{"OPTIONS http://" + target + "/", "3", "Max-Forwards: 2\r\n"},
		{"TRACE http://" + target + "/", "1", "Max-Forwards: 0\r\n"},
		{"GET http://" + target + "/", "0", "Max-Forwards: 0\r\n"},
		{"OPTIONS http://" + target + "/", "0", ""},
		{"OPTIONS *", "9", ""},
	} {
		resp, got := exchange(t, c, r, tt.request+" HTTP/1.1\r\nHost: x\r\nMax-Forwards: "+tt.limit+"\r\n\r\n")
		if resp.StatusCode != 200 || !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%s with %s to go: status %d, the target got %q, want %q", tt.request, tt.limit, resp.StatusCode, got, tt.want)
		}
	}
}

// Nothing is added to a request or an answer, and of what is there only what concerns one hop is taken away.
func TestForwardFields(t *testing.T) {
	target := rawTarget(t, func(_ int, head string) string {
		return "HTTP/1.1 200 OK\r\nContent-Length: " + fmt.Sprint(len(head)) +
			"\r\nDate: now\r\nConnection: X-Hop\r\nX-Hop: 1\r\nProxy-Authenticate: Basic\r\nX-End: 2\r\n\r\n" + head
	})
	c := mustDial(t, joined(t, false))
	resp, got := exchange(t, c, bufio.NewReader(c), "GET http://"+target+"/ HTTP/1.1\r\nHost: other.example\r\nConnection: X-Mine\r\n"+
		"X-Mine: 1\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: "+"Basic eDp5\r\nX-Forwarded-For: 1.2.3.4\r\nAuthorization: NTLM x\r\n\r\n")
	want := "GET / HTTP/1.1\r\nHost: " + target + "\r\nAuthorization: NTLM x\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
	if got != want {
		t.Errorf("the target got %q, want %q", got, want)
	}
	wantFields := http.Header{"Content-Length": {fmt.Sprint(len(got))}, "Date": {"now"}, "X-End": {"2"}}
	if fmt.Sprint(resp.Header) != fmt.Sprint(wantFields) {
		t.Errorf("the client got %v, want %v", resp.Header, wantFields)
	}
}

// A connection to a target belongs to one client's connection, ends with it, and is used again for its requests only.
func TestForwardSharesNoConnection(t *testing.T) {
	ended := make(chan int, 2)
	conns := make(chan net.Conn, 2)
	target := serveEach(t, func(c net.Conn) {
		conns <- c
		r := bufio.NewReader(c)
		for n := 0; ; n++ {
			if _, err := readRawHead(r); err != nil {
				ended <- n
				return
			}
			_, _ = io.WriteString(c, okAnswer(c.RemoteAddr().String()))
		}
	})
	front := joined(t, false)
	request := "GET http://" + target + "/ HTTP/1.1\r\nHost: x\r\n\r\n"
	one, two := mustDial(t, front), mustDial(t, front)
	oneR, twoR := bufio.NewReader(one), bufio.NewReader(two)
	_, first := exchange(t, one, oneR, request)
	_, second := exchange(t, two, twoR, request)
	_, again := exchange(t, one, oneR, request)
	if first == second || first != again {
		t.Errorf("one client's requests came by %s and %s, the other's by %s", first, again, second)
	}
	one.Close()
	if n := <-ended; n != 2 {
		t.Errorf("the connection that ended with its client had %d requests, want 2", n)
	}
	two.Close()
	<-ended
}

// A client that finishes sending behind its request still gets the answer, however late; one that has left is let go.
func TestForwardHalfClosed(t *testing.T) {
	for name, answers := range map[string]bool{"answers late": true, "never answers": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := netsim.NewPath("client", netsim.Link{})
				targets := make(chan net.Conn, 1)
				f, err := NewFront(FrontConfig{Dial: dialFake(targets)})
				if err != nil {
					t.Fatal(err)
				}
				ln, err := path.Listen()
				if err != nil {
					t.Fatal(err)
				}
				served := make(chan error, 1)
				go func() { served <- f.Serve(ln) }()
				c, err := path.Dial(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				mustWrite(t, c, []byte("GET http://a.example/ HTTP/1.1\r\nHost: x\r\n\r\n"))
				_ = c.CloseWrite()
				target := <-targets
				defer target.Close()
				if _, err := readRawHead(bufio.NewReader(target)); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				if answers {
					time.Sleep(defaultHalfClosedIdle - time.Second)
					mustWrite(t, target, []byte(okAnswer("late")))
					resp, err := http.ReadResponse(bufio.NewReader(c), nil)
					if err != nil || resp.StatusCode != 200 {
						t.Fatalf("answer %v, %v", resp, err)
					}
					if body, err := io.ReadAll(resp.Body); string(body) != "late" || err != nil {
						t.Errorf("content %q, %v", body, err)
					}
				} else if _, err := target.Read(make([]byte, 1)); err == nil || (time.Since(start)-defaultHalfClosedIdle).Abs() > instant {
					t.Errorf("the target read %v after %v, want an end after %v", err, time.Since(start), defaultHalfClosedIdle)
				}
				_ = c.Close()
				if err := f.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				if err := <-served; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// dialFake is an egress that agrees to every request; the connection that is the target's then is handed out.
func dialFake(targets chan<- net.Conn) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		path := netsim.NewPath("egress", netsim.Link{})
		ln, err := path.Listen()
		if err != nil {
			return nil, err
		}
		go func() {
			far, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(far, make([]byte, len("\x05\x01\x00\x05\x01\x00\x03\x09a.example\x00\x50")))
			_, _ = far.Write([]byte("\x05\x00\x05\x00\x00\x01\x01\x02\x03\x04\x00\x01"))
			targets <- far
		}()
		return path.Dial(ctx)
	}
}

// Clients of plain HTTP count as unfinished until their request's head is there.
func TestForwardHeadsAreCapped(t *testing.T) {
	inFront(t, FrontConfig{Dial: noEgress, MaxHandshakes: 5}, func(t *testing.T, _ *Front, connect func() net.Conn) {
		var slow []net.Conn
		for range 8 {
			c := connect()
			mustWrite(t, c, []byte("GET http://a.example/ HTTP/1.1\r\nHost:"))
			slow = append(slow, c)
			synctest.Wait()
		}
		for i, c := range slow {
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			_, err := c.Read(make([]byte, 1))
			if dropped := err == io.EOF; dropped != (i < 3) {
				t.Errorf("connection %d: %v, dropped %v", i, err, dropped)
			}
		}
	})
}

// Interim answers, trailers both ways, and content that waits until the target wants it.
func TestForwardMessages(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hints":
			w.Header().Set("Link", "</a.css>")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusProcessing)
			fmt.Fprint(w, "hinted")
		case "/trailers":
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Trailer", "X-Sum")
			_, _ = w.Write(body)
			w.Header().Set("X-Sum", r.Trailer.Get("X-Mine"))
		case "/unwanted":
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusExpectationFailed)
		case "/wanted":
			_, _ = io.Copy(w, r.Body)
		}
	}))
	defer s.Close()
	client := throughFront(t, joined(t, false), nil)

	t.Run("interim answers", func(t *testing.T) {
		var got []int
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			got = append(got, code)
			if code == http.StatusEarlyHints && h.Get("Link") != "</a.css>" {
				t.Errorf("early hints %v", h)
			}
			return nil
		}})
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/hints", nil)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, _ := io.ReadAll(resp.Body); string(body) != "hinted" || fmt.Sprint(got) != "[103 102]" {
			t.Errorf("interim answers %v, content %q", got, body)
		}
	})
	t.Run("trailers", func(t *testing.T) {
		req, _ := http.NewRequest(http.MethodPost, s.URL+"/trailers", io.MultiReader(strings.NewReader("content")))
		req.Trailer = http.Header{"X-Mine": {"sum"}}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); string(body) != "content" || err != nil || resp.Trailer.Get("X-Sum") != "sum" {
			t.Errorf("content %q, %v, trailers %v", body, err, resp.Trailer)
		}
	})
	for path, want := range map[string]string{"/wanted": "HTTP/1.1 100 ", "/unwanted": "HTTP/1.1 417 "} {
		t.Run("expect "+path[1:], func(t *testing.T) {
			c := mustDial(t, joined(t, false))
			mustWrite(t, c, []byte("POST "+s.URL+path+" HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"))
			wantRead(t, c, []byte(want))
		})
	}
}

// An answer that breaks off must not look whole, not even to a client that knows its end by the connection's.
func TestForwardCutAnswer(t *testing.T) {
	target := serveEach(t, func(c net.Conn) {
		_, _ = readRawHead(bufio.NewReader(c))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
	})
	c := mustDial(t, joined(t, false))
	mustWrite(t, c, []byte("GET http://"+target+"/ HTTP/1.0\r\n\r\n"))
	if got, err := io.ReadAll(c); err == nil {
		t.Errorf("the client read %q and a clean end", got)
	}
}

func TestHTTPClientReads(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	c := newHTTPClient(near, nil, &http.Transport{}, -1)
	far.Close()
	if _, err := c.Read(make([]byte, 2)); err != io.EOF {
		t.Errorf("an ordinary read = %v, want the end", err)
	}
	for range 2 { // as often as there are requests
		got := make(chan error)
		go func() {
			_, err := c.Read(make([]byte, 1))
			got <- err
		}()
		_ = c.SetReadDeadline(longAgo)
		var timeout net.Error
		if err := <-got; !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("a read ahead that is stopped = %v, want a time-out", err)
		}
		_ = c.SetReadDeadline(time.Time{})
	}
	got := make(chan error)
	go func() {
		_, err := c.Read(bytes.Repeat([]byte{0}, 1))
		got <- err
	}()
	_ = c.Close()
	if err := <-got; err == nil {
		t.Error("a read of a closed connection succeeded")
	}
}

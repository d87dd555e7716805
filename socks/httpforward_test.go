package socks

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// throughFront returns a client that uses the front as its proxy.
func throughFront(t *testing.T, front string, user *url.Userinfo) *http.Client {
	t.Helper()
	way := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: front, User: user})}
	t.Cleanup(way.CloseIdleConnections)
	return &http.Client{Transport: way}
}

// origin answers with what it was asked and sent, while it is being sent.
func origin(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, hop := range []string{"Proxy-Authorization", "Proxy-Connection", "X-Forwarded-For", "Via"} {
			if r.Header.Get(hop) != "" {
				http.Error(w, "the target must not see "+hop, http.StatusTeapot)
				return
			}
		}
		w.Header().Set("X-Uri", r.RequestURI)
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestForward(t *testing.T) {
	front, target := joined(t, false), origin(t)
	client := throughFront(t, front, nil)
	body := strings.Repeat("0123456789", 100_000)
	for i := range 3 { // the client's connection is used again
		resp, err := client.Post(target.URL+"/a?b=c", "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(got) != body || resp.Header.Get("X-Uri") != "/a?b=c" {
			t.Fatalf("request %d: status %d, %d octets, target asked for %q, %v", i, resp.StatusCode, len(got), resp.Header.Get("X-Uri"), err)
		}
	}
}

func TestForwardRefusals(t *testing.T) {
	front := joined(t, false)
	client := throughFront(t, front, nil)
	for _, tc := range []struct {
		name, url string
		status    int
	}{
		{"refused", "http://" + closedPort(t) + "/", http.StatusBadGateway},
		{"denied", "http://192.168.77.1/", http.StatusForbidden},
		{"no name", "http://label..empty/", http.StatusBadGateway},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp, err := client.Get(tc.url)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != tc.status || !bytes.HasPrefix(got, []byte("mpsocks: ")) {
				t.Errorf("status %d, body %q; want %d and a line of ours", resp.StatusCode, got, tc.status)
			}
		})
	}
}

// TestForwardOriginForm is a page that talks to the port as if it were a web server.
func TestForwardOriginForm(t *testing.T) {
	front := joined(t, false)
	resp, err := http.Post("http://"+front+"/secret", "text/plain", strings.NewReader("reflect me"))
	if err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest || bytes.Contains(got, []byte("reflect")) || bytes.Contains(got, []byte("secret")) {
		t.Errorf("status %d, body %q", resp.StatusCode, got)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestForwardAuth(t *testing.T) {
	target := origin(t)
	front := startFront(t, FrontConfig{Dial: startEgress(t, loopbackAllowed(t)), Users: map[string]string{"ann": "plain:pw"}})
	for _, tc := range []struct {
		user   *url.Userinfo
		status int
	}{
		{nil, http.StatusProxyAuthRequired},
		{url.UserPassword("ann", "pw"), http.StatusOK},
	} {
		resp, err := throughFront(t, front, tc.user).Get(target.URL)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tc.status {
			t.Errorf("user %v: status %d, want %d", tc.user, resp.StatusCode, tc.status)
		}
	}
}

// TestForwardUpgrade is a web socket's beginning: after 101 both sides speak freely.
func TestForwardUpgrade(t *testing.T) {
	front := joined(t, false)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(c, rw)
	}))
	defer s.Close()
	c, err := net.Dial("tcp", front)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET "+s.URL+"/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	head := make([]byte, len("HTTP/1.1 101"))
	if _, err := io.ReadFull(c, head); err != nil || string(head) != "HTTP/1.1 101" {
		t.Fatalf("answer %q, %v", head, err)
	}
	_, _ = io.WriteString(c, "ping!")
	seen := make([]byte, 0, 512)
	for !bytes.HasSuffix(seen, []byte("ping!")) {
		b := make([]byte, 128)
		n, err := c.Read(b)
		if err != nil {
			t.Fatalf("read %q, then %v", seen, err)
		}
		seen = append(seen, b[:n]...)
	}
}

func TestForwardSlowHead(t *testing.T) {
	inFront(t, FrontConfig{Dial: noEgress}, func(t *testing.T, _ *Front, connect func() net.Conn) {
		c := connect()
		start := time.Now()
		mustWrite(t, c, []byte("GET http://a.example/ HT"))
		if got, took := sinceEnd(t, c, start); took > 11*time.Second {
			t.Errorf("answered %q after %v, want an end within the time for handshakes", got, took)
		}
	})
}

// New rules are for the next request, also where the last one has left a connection to its target.
func TestForwardFollowsNewRoutes(t *testing.T) {
	target := origin(t)
	f, front := frontOf(t, FrontConfig{Dial: startEgress(t, loopbackAllowed(t))})
	client := throughFront(t, front, nil)
	for _, step := range []struct {
		action string
		status int
	}{{"", http.StatusOK}, {"block", http.StatusForbidden}, {"direct", http.StatusOK}, {"block", http.StatusForbidden}} {
		var rules []RouteRule
		if step.action != "" {
			rules = []RouteRule{{Match: []string{"127.0.0.1"}, Action: step.action}}
		}
		routes, err := ParseRoutes(rules)
		if err != nil {
			t.Fatal(err)
		}
		f.SetRoutes(routes)
		resp, err := client.Get(target.URL)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != step.status {
			t.Errorf("after the rule %q: status %d, want %d", step.action, resp.StatusCode, step.status)
		}
	}
}

package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// status is a state with the names that the real one has.
func status() any {
	return map[string]any{"role": "client", "paths": []map[string]any{{"name": "a", "state": "up"}}}
}

// start runs a server until the test ends and returns its address.
func start(t *testing.T, cfg Config) string {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown = %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("Serve = %v, want nil after Shutdown", err)
		}
	})
	return s.Addr().String()
}

// ask makes one request and returns status and body.
func ask(t *testing.T, method, addr, path, host string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Header
}

func TestAnswers(t *testing.T) {
	addr := start(t, Config{Status: status})
	for _, tc := range []struct {
		method, path, host string
		code               int
		want               string
	}{
		{"GET", "/healthz", "", 200, "ok\n"},
		{"GET", "/readyz", "", 200, "ready\n"},
		{"GET", "/readyz", "rebound.example", 403, "loopback"},
		{"GET", "/metrics", "", 404, "not found"},
		{"GET", "/status", "", 200, `"role": "client"`},
		{"GET", "/status", "localhost", 200, `"role": "client"`},
		{"GET", "/status", "localhost:1090", 200, `"role": "client"`},
		{"GET", "/status", "[::1]:1090", 200, `"role": "client"`},
		{"GET", "/status", "[::1]", 200, `"role": "client"`},
		{"HEAD", "/status", "", 200, ""},
		{"GET", "/paths", "", 200, `"name": "a"`},
		{"GET", "/", "", 404, "not found"},
		{"POST", "/status", "", 405, "Method Not Allowed"},
		{"GET", "/status", "rebound.example", 403, "loopback"},
		{"GET", "/status", "rebound.example:1090", 403, "loopback"},
		{"GET", "/status", "127.0.0.1.rebound.example", 403, "loopback"},
		{"GET", "/healthz", "192.168.1.1", 403, "loopback"},
	} {
		code, body, h := ask(t, tc.method, addr, tc.path, tc.host)
		if code != tc.code || !strings.Contains(body, tc.want) {
			t.Errorf("%s %s Host %q = %d %q, want %d with %q", tc.method, tc.path, tc.host, code, body, tc.code, tc.want)
		}
		if h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: Cache-Control = %q, want no-store", tc.method, tc.path, h.Get("Cache-Control"))
		}
	}
}

func TestReady(t *testing.T) {
	why := errors.New("no path answers")
	addr := start(t, Config{Status: status, Ready: func() error { return why }})
	if code, body, _ := ask(t, "GET", addr, "/readyz", ""); code != 503 || body != "not ready: no path answers\n" {
		t.Errorf("while it is not: %d %q", code, body)
	}
	if code, _, _ := ask(t, "GET", addr, "/healthz", ""); code != 200 {
		t.Errorf("healthz = %d: a program that waits for its egress is not ill", code)
	}
}

func TestMetrics(t *testing.T) {
	addr := start(t, Config{Status: status, Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a 1\n") })})
	if code, body, _ := ask(t, "GET", addr, "/metrics", ""); code != 200 || body != "a 1\n" {
		t.Errorf("GET /metrics = %d %q", code, body)
	}
	if code, _, _ := ask(t, "GET", addr, "/metrics", "rebound.example"); code != 403 {
		t.Errorf("by the name of another host: %d, want 403", code)
	}
}

func TestPAC(t *testing.T) {
	addr := start(t, Config{Status: status, PAC: "function FindProxyForURL() {}"})
	for _, tc := range []struct {
		method, host string
		code         int
	}{
		{"GET", "", 200},
		{"GET", "localhost:1090", 200},
		{"POST", "", 405},
		{"OPTIONS", "", 405},
		{"GET", "rebound.example", 403},
	} {
		code, body, h := ask(t, tc.method, addr, PACPath, tc.host)
		if code != tc.code || (code == 200) != (body == "function FindProxyForURL() {}") {
			t.Errorf("%s Host %q = %d %q, want %d", tc.method, tc.host, code, body, tc.code)
		}
		if h.Get("Access-Control-Allow-Origin") != "" || h.Get("Cross-Origin-Resource-Policy") != "same-origin" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: the answer is open to other origins: %v", tc.method, h)
		}
		if got := h.Get("Content-Type"); code == 200 && got != "application/x-ns-proxy-autoconfig" {
			t.Errorf("type %q", got)
		}
	}
	if err := HasPAC(t.Context(), addr); err != nil {
		t.Errorf("HasPAC = %v", err)
	}
	addr = start(t, Config{Status: status})
	if code, _, _ := ask(t, "GET", addr, PACPath, ""); code != 404 {
		t.Errorf("without a file: %d, want 404", code)
	}
	if err := HasPAC(t.Context(), addr); err == nil {
		t.Error("HasPAC without a file = nil, want an error")
	}
}

func TestPathsOfAnyStatus(t *testing.T) {
	for _, tc := range []struct {
		status any
		want   string
	}{
		{status(), `[{"name":"a","state":"up"}]`},
		{map[string]any{"role": "egress"}, `[]`},
		{struct {
			Paths []int `json:"paths"`
		}{[]int{}}, `[]`},
	} {
		got, err := pathsOf(tc.status)
		if err != nil || string(got) != tc.want {
			t.Errorf("pathsOf(%v) = %s, %v, want %s", tc.status, got, err, tc.want)
		}
	}
}

func TestStatusThatCannotBeShown(t *testing.T) {
	addr := start(t, Config{Status: func() any { return func() {} }})
	for _, path := range []string{"/status", "/paths"} {
		if code, body, _ := ask(t, "GET", addr, path, ""); code != 500 {
			t.Errorf("GET %s = %d %q, want 500", path, code, body)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "127.0.0.1", "rebound.example:0"} {
		if s, err := New(Config{Listen: listen, Status: status}); err == nil {
			t.Errorf("New(%s) = %v, want an error", listen, s.Addr())
		}
	}
	if _, err := New(Config{Listen: "127.0.0.1:0"}); err == nil {
		t.Error("New without Status = nil error, want one")
	}
}

func TestShutdownWithoutServe(t *testing.T) {
	s, err := New(Config{Listen: "127.0.0.1:0", Status: status})
	if err != nil {
		t.Fatal(err)
	}
	addr := s.Addr().String()
	if err := s.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown = %v", err)
	}
	if s, err := New(Config{Listen: addr, Status: status}); err != nil {
		t.Errorf("the port is still taken: %v", err)
	} else if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestFetch(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // must not be asked
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	addr := start(t, Config{Status: status})
	got, err := Fetch(t.Context(), addr, "/status")
	var s struct{ Role string }
	if err != nil || json.Unmarshal(got, &s) != nil || s.Role != "client" {
		t.Errorf("Fetch = %s, %v, want the status", got, err)
	}
	if _, err := Fetch(t.Context(), addr, "/none"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("Fetch(/none) = %v, want 404", err)
	}
	if _, err := Fetch(t.Context(), addr, "/healthz"); err == nil || !strings.Contains(err.Error(), "is not mpsocks") {
		t.Errorf("Fetch of what is not JSON = %v, want an error", err)
	}
	if _, err := Fetch(t.Context(), "127.0.0.1:1", "/status"); err == nil || !strings.Contains(err.Error(), "ask 127.0.0.1:1") {
		t.Errorf("Fetch of a closed port = %v, want an error that names it", err)
	}
}

// Profiles are there when they are asked for, and only for loopback names.
func TestProfile(t *testing.T) {
	on, off := start(t, Config{Status: status, Profile: true}), start(t, Config{Status: status})
	for _, tc := range []struct {
		addr, path, host string
		code             int
		want             string
	}{
		{on, "/debug/pprof/", "", 200, "goroutine"},
		{on, "/debug/pprof/goroutine?debug=1", "", 200, "admin.TestProfile"},
		{on, "/debug/pprof/allocs", "", 200, ""},
		{on, "/debug/pprof/goroutine?debug=1", "rebound.example", 403, "loopback"},
		{on, "/status", "", 200, "client"},
		{off, "/debug/pprof/", "", 404, "not found"},
		{off, "/debug/pprof/goroutine?debug=1", "", 404, "not found"},
	} {
		code, body, _ := ask(t, "GET", tc.addr, tc.path, tc.host)
		if code != tc.code || !strings.Contains(body, tc.want) {
			t.Errorf("GET %s = %d, %.200q; want %d, %q", tc.path, code, body, tc.code, tc.want)
		}
	}
}

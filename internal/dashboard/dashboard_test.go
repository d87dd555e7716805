package dashboard

import (
	"bufio"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// newPage shows a program with one path and one connection.
func newPage(t *testing.T) (*Page, *slog.Logger, *httptest.Server) {
	t.Helper()
	events := new(Events)
	p := New(Config{
		Version: "1.2", Events: events,
		Status:   func() any { return map[string]string{"role": "client"} },
		Counters: func() []Counter { return []Counter{{"cable", 1, 2}} },
		Conns: func() []Conn {
			list := make([]Conn, 2*maxConns)
			for i := range list {
				list[i] = Conn{ID: uint64(i + 1), Target: "a.example:443", Down: int64(i)}
			}
			return list
		},
	})
	s := httptest.NewServer(p)
	t.Cleanup(func() {
		p.Close()
		s.Close()
	})
	return p, slog.New(events.Handler(slog.DiscardHandler)), s
}

// watcher reads server-sent events.
type watcher struct {
	resp *http.Response
	r    *bufio.Reader
}

func watchPage(t *testing.T, s *httptest.Server) *watcher {
	t.Helper()
	resp, err := s.Client().Get(s.URL + "/page/events")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return &watcher{resp, bufio.NewReader(resp.Body)}
}

// next reads the next event with data.
func (w *watcher) next(t *testing.T) (name string, data map[string]any) {
	t.Helper()
	for {
		line, err := w.r.ReadString('\n')
		if err != nil {
			t.Fatalf("events: %v", err)
		}
		if v, ok := strings.CutPrefix(line, "event: "); ok {
			name = strings.TrimSpace(v)
		}
		if v, ok := strings.CutPrefix(line, "data: "); ok {
			if err := json.Unmarshal([]byte(v), &data); err != nil {
				t.Fatal(err)
			}
			return name, data
		}
	}
}

// Who comes is told what was, and then what is, once a second.
func TestEventsStream(t *testing.T) {
	_, log, s := newPage(t)
	log.Info("ready", "socks", "127.0.0.1:1080")
	w := watchPage(t, s)
	if kind := w.resp.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("type %q", kind)
	}
	name, hello := w.next(t)
	if events, _ := hello["events"].([]any); name != "hello" || hello["version"] != "1.2" || hello["boot"] == "" || len(events) != 1 {
		t.Errorf("first comes %s: %v", name, hello)
	}
	log.Warn("path suspect", "path", "cable")
	name, picture := w.next(t)
	if conns, _ := picture["conns"].([]any); name != "picture" || len(conns) != maxConns || picture["open"] != float64(2*maxConns) {
		t.Errorf("then comes %s with %d of %v connections", name, len(conns), picture["open"])
	}
	if first := picture["conns"].([]any)[0].(map[string]any); first["id"] != float64(2*maxConns) {
		t.Errorf("the busiest is %v, want that with most bytes", first)
	}
	if events, _ := picture["events"].([]any); len(events) != 2 {
		t.Errorf("events %v, want the old one and the new", events)
	}
}

func TestViewersAreBounded(t *testing.T) {
	p, _, s := newPage(t)
	var first *watcher
	for range maxViewers {
		w := watchPage(t, s)
		w.next(t)
		if first == nil {
			first = w
		}
	}
	refused := watchPage(t, s)
	if refused.resp.StatusCode != http.StatusServiceUnavailable || refused.resp.Header.Get("Retry-After") == "" {
		t.Errorf("one too many is answered %d", refused.resp.StatusCode)
	}
	_ = first.resp.Body.Close()
	for { // until the server has noticed
		p.mu.Lock()
		n := len(p.viewers)
		p.mu.Unlock()
		if n < maxViewers {
			break
		}
		time.Sleep(time.Millisecond) // the server tells nobody that it has seen a viewer's connection end
	}
	if w := watchPage(t, s); w.resp.StatusCode != http.StatusOK {
		t.Errorf("after one has gone: %d", w.resp.StatusCode)
	}
}

// Somebody who does not read holds nobody up, and is given the latest when he does.
func TestSlowViewer(t *testing.T) {
	v := &viewer{pictures: make(chan []byte, 1)}
	for _, text := range []string{"old", "new"} {
		v.give([]byte(text))
	}
	if got := string(<-v.pictures); got != "new" {
		t.Errorf("the picture is %q, want the new one", got)
	}
}

// The end of the program ends the streams, so that the port can be closed.
func TestCloseLetsViewersGo(t *testing.T) {
	p, _, s := newPage(t)
	w := watchPage(t, s)
	w.next(t)
	p.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, err := w.r.ReadString('\n'); err != nil {
				return
			}
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	select {
	case <-ended:
	case <-ctx.Done():
		t.Error("the stream goes on after Close")
	}
}

func TestFiles(t *testing.T) {
	_, _, s := newPage(t)
	for path, want := range map[string]struct {
		code int
		kind string
	}{
		"/":                {200, "text/html; charset=utf-8"},
		"/page/app.js":     {200, "text/javascript; charset=utf-8"},
		"/page/style.css":  {200, "text/css; charset=utf-8"},
		"/page/icon.svg":   {200, "image/svg+xml"},
		"/page/":           {404, "text/plain; charset=utf-8"},
		"/page/nothing.js": {404, "text/plain; charset=utf-8"},
		"/page/../go.mod":  {404, "text/plain; charset=utf-8"},
	} {
		w := httptest.NewRecorder()
		s.Config.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if got := w.Header().Get("Content-Type"); w.Code != want.code || got != want.kind {
			t.Errorf("%s: %d %s, want %d %s", path, w.Code, got, want.code, want.kind)
		}
		if got := w.Header().Get("Content-Security-Policy"); got != policy {
			t.Errorf("%s: content security policy %q", path, got)
		}
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/admin"
)

// logLines are the lines of a log in JSON.
func logLines(t *testing.T, text string) (lines []map[string]any) {
	t.Helper()
	for line := range strings.Lines(text) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		lines = append(lines, m)
	}
	return lines
}

// A path that falls silent and comes back is told in one line each, with the cause; all else that happens to paths and sessions has one too.
func TestLogOfTransitions(t *testing.T) {
	client, egress := testFiles(t)
	out := launch(t, "egress", "-c", egress)
	at := words(out.err.line(t, " ready "))
	cable := newCuttable(t, 10_000_000, func() string { return at["listen"] })
	phone := newCuttable(t, 10_000_000, func() string { return at["listen"] })
	edit(t, client, "{name: one, source: 127.0.0.1}", "{name: one, source: 127.0.0.1, egress: [\""+cable.addr()+"\"]}")
	edit(t, client, "localhost:1", phone.addr())
	edit(t, client, "# ", "log: {format: json}\n# ")
	in := launch(t, "client", "-c", client)
	var ready map[string]any
	if err := json.Unmarshal([]byte(in.err.line(t, `"message":"ready"`)), &ready); err != nil {
		t.Fatal(err)
	}
	in.err.line(t, `"message":"subflow joined"`)
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 32<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(buf); err != nil {
				return
			}
		}
	}))
	defer target.Close()
	c := throughSocks(t, nil, ready["socks"].(string))
	resp, err := c.Get(target.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(io.Discard, resp.Body) // until it is closed
	}()
	cable.cut.Store(true)
	in.err.line(t, `"message":"path suspect"`)
	cable.cut.Store(false)
	suspected := false
	in.err.until(t, "path one's return", func(line string) bool {
		suspected = suspected || strings.Contains(line, `"message":"path suspect"`)
		return suspected && strings.Contains(line, `"path":"one"`) && (strings.Contains(line, `"message":"path up"`) || strings.Contains(line, `"message":"subflow joined"`))
	})
	_ = resp.Body.Close()
	<-read
	if code := in.stop(); code != exitOK {
		t.Errorf("client ended with %d", code)
	}
	suspect := 0
	for _, l := range logLines(t, in.err.String()) {
		msg, _ := l["message"].(string)
		switch msg {
		case "path suspect":
			if suspect++; l["path"] != "one" || l["level"] != "warn" {
				t.Errorf("%v, want a warning about path one", l)
			}
			fallthrough
		case "path down", "path up", "path gone", "subflow closed", "session closed", "session lost", "no session", "draining":
			if l["reason"] == nil || l["reason"] == "" {
				t.Errorf("%v has no cause", l)
			}
		}
		if strings.HasPrefix(msg, "path ") || strings.HasPrefix(msg, "subflow ") {
			if l["path"] == nil {
				t.Errorf("%v does not say which path", l)
			}
		}
	}
	if suspect != 1 {
		t.Errorf("%d lines say that the path is suspect, want one:\n%s", suspect, in.err)
	}
}

// Whatever is logged, at the finest level and of both sides, no secret is in it.
func TestLogHasNoSecrets(t *testing.T) {
	client, egress := testFiles(t)
	for _, file := range []string{client, egress} {
		edit(t, file, "# ", "log: {level: debug}\n# ")
	}
	edit(t, client, "  listen: ", "  users: {alice: correct-horse-battery}\n  listen: ")
	out := launch(t, "egress", "-c", egress)
	at := words(out.err.line(t, " ready "))
	edit(t, client, "127.0.0.1:1\"", at["listen"]+"\"")
	in := launch(t, "client", "-c", client)
	ready := words(in.err.line(t, " ready "))
	target := webTarget(t, []byte("body"))
	for _, password := range []string{"correct-horse-battery", "wrong-horse-battery"} {
		if resp, err := throughSocks(t, url.UserPassword("alice", password), ready["socks"]).Get(target.URL); err == nil {
			_ = resp.Body.Close()
		}
	}
	cfg, err := configs.Input{File: client}.Client()
	if err != nil {
		t.Fatal(err)
	}
	id, err := loadIdentity(&cfg.Source, cfg.Identity)
	if err != nil {
		t.Fatal(err)
	}
	role := "backup"
	if err := admin.SetPath(t.Context(), ready["admin"], id.AdminToken(), "one", admin.PathChange{Role: &role}); err != nil {
		t.Error(err)
	}
	in.stop()
	out.stop()
	secrets := map[string]string{
		"the password": "correct-horse-battery", "a wrong password": "wrong-horse-battery", "the token": id.AdminToken(),
		"the client's key": strings.TrimSpace(read(t, filepath.Dir(client), filepath.Base(cfg.Identity))),
	}
	for side, text := range map[string]string{"client": in.err.String(), "egress": out.err.String()} {
		if !strings.Contains(text, "tunnel ended") {
			t.Errorf("the %s's log is not that of level debug:\n%s", side, text)
		}
		for what, secret := range secrets {
			for line := range strings.Lines(secret) {
				if line = strings.TrimSpace(line); len(line) > 12 && strings.Contains(text, line) {
					t.Errorf("%s is in the log of the %s", what, side)
				}
			}
		}
	}
}

// What a library says by the standard library's logger may hold words of a stranger: it is a line of this program's log, at level debug.
func TestLogOfLibraries(t *testing.T) {
	flags := log.Flags()
	t.Cleanup(func() {
		log.SetOutput(os.Stderr)
		log.SetFlags(flags)
	})
	for level, want := range map[string]int{"info": 0, "debug": 1} {
		var out bytes.Buffer
		logger, err := newLogger(env{err: &out}, configs.Log{Level: level, Format: "json"})
		if err != nil {
			t.Fatal(err)
		}
		log.Print("unsolicited response\nstarting with POISON")
		logger.Close(time.Second)
		lines := logLines(t, out.String())
		if len(lines) != want || want > 0 && (lines[0]["level"] != "debug" || !strings.Contains(lines[0]["message"].(string), "POISON")) {
			t.Errorf("level %s: %v, want %d lines of level debug", level, lines, want)
		}
	}
}

package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/mptcp"
)

func TestTraceAtNobody(t *testing.T) {
	if got := mpsocks(t, "", "trace", "--admin", "127.0.0.1:1"); got.code != exitFailure || !strings.Contains(got.err, "nothing answers at 127.0.0.1:1") {
		t.Errorf("trace = %+v", got)
	}
	if got := mpsocks(t, "", "trace", "--for", "-1s"); got.code != exitUsage {
		t.Errorf("trace --for -1s = %+v", got)
	}
	if got := mpsocks(t, "", "trace", "--admin", serveStatus(t)); got.code != exitFailure || !strings.Contains(got.err, "404") {
		t.Errorf("trace of a program that has none = %+v", got)
	}
}

func TestTraceQuery(t *testing.T) {
	for want, f := range map[string]traceFlags{
		"/trace":                               {},
		"/trace?name=data&name=sched&path=a+b": {events: []string{"data", "sched"}, path: []string{"a b"}},
		"/trace?session=x":                     {sessions: []string{"x"}},
	} {
		if got := f.query(); got != want {
			t.Errorf("query of %+v = %s, want %s", f, got, want)
		}
	}
}

// What sessions tell gets into the file.
func TestTraceFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "trace.jsonl")
	s, err := openTrace(configs.Trace{File: name, Size: 1 << 20}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := s.of(&mptcp.Config{Congestion: "cubic"})
	if c.Congestion != "cubic" || !c.TraceOn() {
		t.Errorf("session config %+v, on %v", c, c.TraceOn())
	}
	c.Trace(mptcp.Event{Name: "session:started", Session: "ab"})
	s.close()
	text, err := os.ReadFile(name)
	if want := `{"time_us":0,"session":"ab","name":"session:started"}` + "\n"; string(text) != want || err != nil {
		t.Errorf("file has %q, %v, want %q", text, err, want)
	}
	if c.TraceOn() {
		t.Error("on after its end")
	}
	off, err := openTrace(configs.Trace{}, slog.New(slog.DiscardHandler))
	if err != nil || off.of(nil).TraceOn() {
		t.Errorf("without a file: %v, on", err)
	}
	off.close()
}

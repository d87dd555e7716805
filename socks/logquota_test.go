package socks

import (
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"
)

func textLogger(to *syncBuffer) *slog.Logger { return slog.New(slog.NewTextHandler(to, nil)) }

// wantLines wants a log to have just these lines; * stands for anything, and the time is not looked at.
func wantLines(t *testing.T, log string, want ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(log, "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("the log has\n%s\nwant %d lines", log, len(want))
	}
	for i, w := range want {
		pattern := "^time=[^ ]+ " + strings.ReplaceAll(regexp.QuoteMeta(w), `\*`, ".*") + "$"
		if !regexp.MustCompile(pattern).MatchString(lines[i]) {
			t.Errorf("line %d of the log is\n%s\nwant\n%s", i, lines[i], w)
		}
	}
}

func TestLogQuota(t *testing.T) {
	var q logQuota
	now := time.Unix(1000, 0)
	for i := range quotaLines + 7 {
		if ok, skipped := q.take(now); ok != (i < quotaLines) || skipped != 0 {
			t.Errorf("line %d: %v, %d skipped", i, ok, skipped)
		}
	}
	now = now.Add(quotaTime)
	for i, want := range []int{7, 0} {
		if ok, skipped := q.take(now); !ok || skipped != want {
			t.Errorf("line %d of the next time: %v, %d skipped; want %d", i, ok, skipped, want)
		}
	}
}

func TestRefusedTargetsAreLogged(t *testing.T) {
	var egress, front syncBuffer
	cfg := loopbackAllowed(t)
	cfg.Logger = textLogger(&egress)
	var f *Front
	addr := startFront(t, FrontConfig{Dial: startEgress(t, cfg), Logger: textLogger(&front)}, func(started *Front) { f = started })
	for _, target := range []string{"192.168.77.1:80", closedPort(t)} {
		if _, err := socksConnect(t, addr, target); err == nil {
			t.Fatalf("connected to %s", target)
		}
	}
	wantLines(t, egress.String(), `level=INFO msg="target refused" client=tester to=192.168.77.1:80 reason="private address, not in targets.allow"`)
	if err := f.Shutdown(t.Context()); err != nil { // nobody is left who could say it again
		t.Fatal(err)
	}
	wantLines(t, front.String(), `level=INFO msg="target refused by the egress" from=127.0.0.1:* to=192.168.77.1:80 reason="not allowed by the egress (its targets.allow and targets.deny)"`)
}

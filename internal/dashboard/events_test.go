package dashboard

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"
)

// said is the text of the last event after a line of the log.
func said(log func(*slog.Logger)) string {
	var e Events
	log(slog.New(e.Handler(slog.DiscardHandler)))
	list, _ := e.since(0)
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1].Text
}

func TestSentences(t *testing.T) {
	for _, tc := range []struct {
		want string
		log  func(*slog.Logger)
	}{
		{"Path cable does not answer; the other paths carry its data", func(l *slog.Logger) {
			l.Warn("path suspect", "session", "3f", "path", "cable", "remote", "10.0.0.1:1", "reason", "no answer for a while")
		}},
		{"laptop does not answer on addr1 from 10.0.0.1:1; the other paths carry its data (and 3 times more)", func(l *slog.Logger) {
			l.Warn("path suspect", "session", "3f", "path", "addr1", "remote", "10.0.0.1:1", "client", "laptop", "repeated", 3)
		}},
		{"Path phone does not work: no route", func(l *slog.Logger) { l.Info("path down", "path", "phone", "reason", errors.New("no route")) }},
		{"Path phone is backup now, it was primary: role set by hand", func(l *slog.Logger) {
			l.With("path", "phone").Info("path role", "role", "backup", "from", "primary", "reason", "role set by hand")
		}},
		{"Path cable to egress home does not work: no route", func(l *slog.Logger) {
			l.With("egress", "home").Info("path down", "path", "cable", "reason", errors.New("no route"))
		}},
		{"New connections go to egress spare now, and no more to home: home: no answer", func(l *slog.Logger) {
			l.Warn("another egress", "egress", "spare", "reason", "home: no answer", "from", "home")
		}},
		{"something new: path phone, g.n 7", func(l *slog.Logger) { l.With("path", "phone").WithGroup("g").Info("something new", "n", 7) }},
		{"path down: session 3f", func(l *slog.Logger) { l.Info("path down", "session", "3f") }}, // not all that the sentence needs
		{"alone", func(l *slog.Logger) { l.Error("alone") }},
		{"", func(l *slog.Logger) { l.Debug("path suspect", "path", "cable") }},
		{"a  [31mb: err c d", func(l *slog.Logger) { l.Info("a\n\x1b[31mb", "err", "c\rd") }},
	} {
		if got := said(tc.log); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

// Sentences name keys in whole pairs of braces.
func TestSentencesAreWhole(t *testing.T) {
	for message, list := range sentences {
		for _, s := range list {
			if strings.Count(s, "{") != strings.Count(s, "}") {
				t.Errorf("%s: %q", message, s)
			}
		}
	}
}

// What is logged still goes where it went, at the level that is wanted there.
func TestHandlerPassesOn(t *testing.T) {
	var e Events
	var b bytes.Buffer
	log := slog.New(e.Handler(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelWarn})))
	log.With("a", 1).Info("quiet")
	log.With("a", 1).WithGroup("g").Warn("loud", "b", 2)
	log.Debug("silent")
	if got := b.String(); strings.Contains(got, "quiet") || !strings.Contains(got, "msg=loud a=1 g.b=2") {
		t.Errorf("passed on: %s", got)
	}
	list, last := e.since(0)
	if len(list) != 2 || last != 2 || list[0].Level != "info" || list[1].Level != "warn" {
		t.Errorf("events = %+v", list)
	}
}

func TestEventsAreBounded(t *testing.T) {
	var e Events
	log := slog.New(e.Handler(slog.DiscardHandler))
	for i := range 3 * maxEvents {
		log.Info(fmt.Sprint(i, strings.Repeat("ä", 1000)))
	}
	list, last := e.since(0)
	if len(list) != maxEvents || last != 3*maxEvents || list[0].Seq != last-maxEvents+1 {
		t.Errorf("%d events from %d to %d", len(list), list[0].Seq, last)
	}
	if n := utf8.RuneCountInString(list[0].Text); n != maxEventText {
		t.Errorf("a text of %d characters, want %d", n, maxEventText)
	}
	if list, _ = e.recent(last); len(list) != again {
		t.Errorf("a picture repeats %d events, want %d", len(list), again)
	}
}

package mptcp

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// eventLog keeps the events of both ends; each session calls it with its own lock held.
type eventLog struct {
	mu  sync.Mutex
	all []Event
}

func (l *eventLog) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, e)
}

// events are those so far.
func (l *eventLog) events() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

// of are the events about a path, in order.
func (l *eventLog) of(path string) (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.all {
		if e.Path == path {
			names = append(names, e.Name)
		}
	}
	return names
}

// A trace says when by the clock, and which session and path by their names: the client's as configured, the responder's by address ID.
func TestTraceNamesThings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &eventLog{}
		began := time.Now()
		w := dialled(t, &Config{Trace: l.add}, wan, wan)
		c, s := w.stream()
		transfer(t, c, s, 100_000)
		roles := make(map[string]bool)
		for _, e := range l.events() {
			if e.Session != w.client.ID() || e.At.Before(began) || e.At.After(time.Now()) {
				t.Fatalf("%s, want session %s and a time of this test", e.AppendJSON(nil), w.client.ID())
			}
			if e.Name == "session:started" {
				roles[e.Attrs[0].Str] = true
			}
		}
		if !roles["client"] || !roles["egress"] {
			t.Errorf("sessions started: %v, want client and egress", roles)
		}
		for _, path := range []string{"a", "addr0"} {
			got := l.of(path)
			if !slices.Contains(got, "subflow:attached") || !slices.Contains(got, "sched:held") || path == "a" && !slices.Contains(got, "data:mapping_sent") {
				t.Errorf("path %s: %q", path, got)
			}
		}
		if started := l.of(""); !slices.Contains(started, "subflow:started") || slices.ContainsFunc(started, func(n string) bool { return strings.HasPrefix(n, "data:") }) {
			t.Errorf("without a path: %q", started)
		}
		for _, st := range []*Stream{c, s} {
			st.Close()
		}
	})
}

// A trace that nobody wants is not called, and one that is wanted later begins then.
func TestTraceIsTurnedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &eventLog{}
		var on atomic.Bool
		w := dialled(t, &Config{Trace: l.add, TraceOn: on.Load}, wan)
		c, s := w.stream()
		transfer(t, c, s, 100_000)
		if got := l.events(); len(got) > 0 {
			t.Fatalf("%s though nobody listens", got[0].AppendJSON(nil))
		}
		on.Store(true)
		c2, s2 := w.stream()
		transfer(t, c2, s2, 100_000)
		if got := l.of("a"); !slices.Contains(got, "data:mapping_sent") {
			t.Errorf("after it was turned on: %q", got)
		}
		for _, st := range []*Stream{c, s, c2, s2} {
			st.Close()
		}
	})
}

package tracelog

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// say records a line of that name.
func say(h *Hub, name string) { sayOf(h, Head{Name: name}) }

func sayOf(h *Hub, head Head) {
	h.Record(head, func(b []byte) []byte { return append(b, head.Name...) })
}

func tap(t *testing.T, h *Hub, f Filter, room int) *Tap {
	t.Helper()
	tp, err := h.Tap(f, room)
	if err != nil {
		t.Fatal(err)
	}
	return tp
}

func take(t *testing.T, tp *Tap) string {
	t.Helper()
	lines, err := tp.Take(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return string(lines)
}

func TestHubIsOnWhileSomebodyListens(t *testing.T) {
	var h Hub
	a := tap(t, &h, Filter{}, 100)
	b := tap(t, &h, Filter{}, 100)
	a.Close()
	if !h.On() {
		t.Error("off, though one listens")
	}
	b.Close()
	b.Close()
	if h.On() {
		t.Error("on, though nobody listens")
	}
}

func TestFilter(t *testing.T) {
	all := []Head{{"data:reported", "s1", "cable"}, {"data:reinjected", "s1", "phone"}, {"sched:held", "s2", "cable"}, {"session:closed", "s2", ""}}
	for _, tc := range []struct {
		f    Filter
		want string
	}{
		{Filter{}, "data:reported data:reinjected sched:held session:closed"},
		{Filter{Names: []string{"data", "session:closed"}}, "data:reported data:reinjected session:closed"},
		{Filter{Sessions: []string{"s2"}}, "sched:held session:closed"},
		{Filter{Paths: []string{"cable", "other"}}, "data:reported sched:held"},
		{Filter{Names: []string{"data"}, Paths: []string{"phone"}}, "data:reinjected"},
	} {
		var h Hub
		tp := tap(t, &h, tc.f, 1000)
		for _, head := range all {
			sayOf(&h, head)
		}
		if got := strings.Join(strings.Fields(take(t, tp)), " "); got != tc.want {
			t.Errorf("%+v: %q, want %q", tc.f, got, tc.want)
		}
	}
}

// A reader that does not keep up loses lines, and is told how many; others do not.
func TestFullTap(t *testing.T) {
	var h Hub
	slow, fast := tap(t, &h, Filter{}, 10), tap(t, &h, Filter{}, 1000)
	for i := range 6 {
		say(&h, fmt.Sprintf("ev%d", i))
	}
	if got := take(t, fast); strings.Count(got, "\n") != 6 {
		t.Errorf("the reader with room got %q", got)
	}
	got := take(t, slow)
	if !strings.HasPrefix(got, "ev0\nev1\n{") || !strings.HasSuffix(got, `"name":"trace:dropped","events":4}`+"\n") {
		t.Errorf("the reader without room got %q", got)
	}
	say(&h, "ev6")
	if got := take(t, slow); got != "ev6\n" {
		t.Errorf("afterwards %q", got)
	}
}

func TestTooManyTaps(t *testing.T) {
	var h Hub
	for range maxTaps {
		tap(t, &h, Filter{}, 10)
	}
	if _, err := h.Tap(Filter{}, 10); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more: %v, want ErrTooMany", err)
	}
	if err := h.Serve(t.Context(), nil, nil); !errors.Is(err, ErrTooMany) {
		t.Errorf("Serve: %v, want ErrTooMany", err)
	}
}

// Lines are gathered for a while, but not until they do not fit.
func TestGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hub
		tp := tap(t, &h, Filter{}, 100)
		go func() {
			say(&h, "one")
			time.Sleep(50 * time.Millisecond)
			say(&h, "two")
		}()
		began := time.Now()
		lines, err := tp.Take(t.Context(), time.Second)
		if took := time.Since(began); string(lines) != "one\ntwo\n" || err != nil || took != time.Second {
			t.Errorf("after %v: %q, %v", took, lines, err)
		}
		say(&h, strings.Repeat("x", 60))
		began = time.Now()
		if _, err = tp.Take(t.Context(), time.Second); err != nil || time.Since(began) != 0 {
			t.Errorf("half full: after %v, %v", time.Since(began), err)
		}
	})
}

// chunks passes on what is written to it, until it is told to fail.
type chunks struct {
	got  chan string
	fail error
}

func (c *chunks) Write(b []byte) (int, error) {
	if c.fail != nil {
		return 0, c.fail
	}
	c.got <- string(b)
	return len(b), nil
}

func TestServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hub
		ctx, cancel := context.WithCancel(t.Context())
		w := &chunks{got: make(chan string)}
		done := make(chan error)
		go func() { done <- h.Serve(ctx, url.Values{"name": {"data"}}, w) }()
		synctest.Wait()
		say(&h, "sched:held")
		say(&h, "data:reported")
		if got := <-w.got; got != "data:reported\n" {
			t.Errorf("wrote %q", got)
		}
		cancel()
		if err := <-done; err != nil || h.On() {
			t.Errorf("in the end: %v, on %v", err, h.On())
		}
		broken := errors.New("gone")
		go func() { done <- h.Serve(t.Context(), nil, &chunks{fail: broken}) }()
		synctest.Wait()
		say(&h, "data:reported")
		if err := <-done; !errors.Is(err, broken) || h.On() {
			t.Errorf("with a reader that is gone: %v, on %v", err, h.On())
		}
	})
}

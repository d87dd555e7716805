package upstream

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A step is what one try of a race does.
type step struct {
	after time.Duration // how long it takes; it gives up earlier when cancelled
	err   error
	deaf  bool // does not heed its context
}

func runRace(ctx context.Context, steps []step) (winner int, starts []time.Duration, discarded []int, err error) {
	begin := time.Now()
	var mu sync.Mutex
	winner, err = race(ctx, len(steps), stagger, func(ctx context.Context, i int) (int, error) {
		mu.Lock()
		starts = append(starts, time.Since(begin))
		mu.Unlock()
		done := ctx.Done()
		if steps[i].deaf {
			done = nil
		}
		select {
		case <-time.After(steps[i].after):
			return i, steps[i].err
		case <-done:
			return -1, ctx.Err()
		}
	}, func(i int) { discarded = append(discarded, i) })
	return winner, starts, discarded, err
}

func TestRace(t *testing.T) {
	bad, worse := errors.New("bad"), errors.New("worse")
	ms := time.Millisecond
	for _, c := range []struct {
		name      string
		steps     []step
		winner    int
		err       string
		starts    []time.Duration
		discarded []int
	}{
		{"first at once", []step{{after: ms}, {after: ms}}, 0, "", []time.Duration{0}, nil},
		{"first fails", []step{{after: ms, err: bad}, {after: ms}}, 1, "", []time.Duration{0, ms}, nil},
		{"first slow, second wins", []step{{after: 900 * ms}, {after: 10 * ms}}, 1, "", []time.Duration{0, stagger}, nil},
		{"first slow but wins", []step{{after: 300 * ms}, {after: 900 * ms}}, 0, "", []time.Duration{0, stagger}, nil},
		{"late success", []step{{after: 900 * ms, deaf: true}, {after: ms}}, 1, "", []time.Duration{0, stagger}, []int{0}},
		{"all fail", []step{{after: ms, err: bad}, {after: ms, err: worse}}, 0, "bad; worse", []time.Duration{0, ms}, nil},
		{"one fails", []step{{after: ms, err: bad}}, 0, "bad", []time.Duration{0}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				winner, starts, discarded, err := runRace(t.Context(), c.steps)
				if c.err != "" {
					if err == nil || err.Error() != c.err {
						t.Fatalf("race error = %v, want %s", err, c.err)
					}
					if !errors.Is(err, bad) {
						t.Errorf("race error %v does not wrap its causes", err)
					}
				} else if err != nil || winner != c.winner {
					t.Fatalf("race = %d, %v, want %d", winner, err, c.winner)
				}
				if !slices.Equal(starts, c.starts) || !slices.Equal(discarded, c.discarded) {
					t.Errorf("starts = %v, discarded = %v, want %v and %v", starts, discarded, c.starts, c.discarded)
				}
			})
		})
	}
}

func TestRaceCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, starts, _, err := runRace(ctx, []step{{after: time.Hour}, {after: time.Hour}})
		if !errors.Is(err, context.DeadlineExceeded) || len(starts) != 2 {
			t.Errorf("race past its deadline: %v after %d starts", err, len(starts))
		}
		cancel()
		if _, starts, _, err := runRace(ctx, []step{{}}); err == nil || len(starts) != 0 {
			t.Errorf("race with a dead context: %v after %d starts, want an error and none", err, len(starts))
		}
	})
}

package upstream

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatchGathersBursts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ms := time.Millisecond
		script := []time.Duration{0, 10 * ms, 20 * ms, 20 * ms, 500 * ms, 1000 * ms, 1090 * ms, 1150 * ms, 1290 * ms}
		ctx, cancel := context.WithCancel(t.Context())
		var calls []time.Duration
		watchNetifs(ctx, func(ctx context.Context, signal chan<- struct{}) {
			for _, at := range script {
				time.Sleep(time.Until(begin.Add(at)))
				tell(signal)
			}
			time.Sleep(2 * time.Second)
			cancel()
		}, func() { calls = append(calls, time.Since(begin)) })
		want := []time.Duration{0, 100 * ms, 500 * ms, 1000 * ms, 1100 * ms, 1200 * ms, 1300 * ms}
		if !slices.Equal(calls, want) {
			t.Errorf("changes acted upon at %v, want %v", calls, want)
		}
	})
}

func TestPollNetifs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := laptop()
		down[1].up = false
		pictures := []netifs{laptop(), laptop(), down, down, nil, laptop()}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		looks, told := 0, []int(nil)
		signal := make(chan struct{}, 1)
		pollNetifs(ctx, time.Second, func() (netifs, error) {
			select {
			case <-signal:
				told = append(told, looks)
			default:
			}
			if looks == len(pictures) {
				cancel()
				return nil, errors.New("end")
			}
			looks++
			if p := pictures[looks-1]; p != nil {
				return p, nil
			}
			return nil, errors.New("busy")
		}, signal)
		// The first look may be late; look 3 finds an interface down, look 6 finds it up again; what could
		// not be read in between is no change.
		if want := []int{1, 3, 6}; !slices.Equal(told, want) {
			t.Errorf("signals after looks %v, want %v", told, want)
		}
	})
}

func TestWatchSystemEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	watchNetifs(ctx, watchSystem, func() {})
}

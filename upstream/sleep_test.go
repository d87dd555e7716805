package upstream

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Sleep shows in either kind of time; a busy machine, and a clock that is set back, do not count.
func TestWatchSleep(t *testing.T) {
	for name, tc := range map[string]struct {
		monotonic, wall time.Duration // that go by at once, after three seconds
		want            []time.Duration
	}{
		"nothing":         {0, 0, nil},
		"machine slept":   {0, time.Hour, []time.Duration{time.Hour}},
		"process stopped": {time.Minute, time.Minute, []time.Duration{time.Minute}},
		"busy":            {2 * time.Second, 2 * time.Second, nil},
		"clock set back":  {0, -time.Hour, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				var monotonic, wall atomic.Int64
				time.AfterFunc(2500*time.Millisecond, func() {
					monotonic.Store(int64(tc.monotonic))
					wall.Store(int64(tc.wall))
				})
				start := time.Now()
				var got []time.Duration
				watchSleep(ctx, func() (time.Duration, time.Duration) {
					d := time.Since(start)
					return d + time.Duration(monotonic.Load()), d + time.Duration(wall.Load())
				}, func(slept time.Duration) { got = append(got, slept) })
				if !slices.Equal(got, tc.want) {
					t.Errorf("slept %v, want %v", got, tc.want)
				}
			})
		})
	}
}

// The machine's clocks go on together while nothing happens.
func TestMachineClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := machineClocks()
		time.Sleep(time.Minute)
		if m, w := read(); m != time.Minute || w != time.Minute {
			t.Errorf("%v and %v have gone by, want a minute of each", m, w)
		}
	})
}

// After a sleep every line counts as moved, once, and so do those of other egresses and transports.
func TestLinesWake(t *testing.T) {
	m := &machine{all: laptop()}
	ls := testLines(m, "egress.example:8443")
	twin := testLines(m, "egress.example:8443")
	ls.twin = twin
	for _, l := range []*lines{ls, twin} {
		l.want(t, "start", []string{"+eth0", "+wlan0"}, []string{"eth0", "wlan0"})
	}
	ls.wake()
	for _, l := range []*lines{ls, twin} {
		l.want(t, "awake", []string{"~eth0", "~wlan0"}, []string{"eth0", "wlan0"})
		l.want(t, "later", nil, []string{"eth0", "wlan0"})
	}
}

package mptcp

import (
	"testing"
	"testing/synctest"
	"time"
)

// A path that comes and goes disturbs little: pauses stay short, and it is not dialled all the time.
func TestFlappingPath(t *testing.T) {
	for name, rhythm := range map[string][2]time.Duration{
		"half a second each": {500 * time.Millisecond, 500 * time.Millisecond},
		"short cuts":         {100 * time.Millisecond, 2 * time.Second},
		"long cuts":          {5 * time.Second, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, up bool) {
				w := dialled(t, nil, wan, wan)
				from, to := w.ends(up)
				stop := meanwhile(func(sleep func(time.Duration) bool) {
					for w.paths[0].Cut(); sleep(rhythm[0]); w.paths[0].Cut() {
						w.paths[0].Heal()
						if !sleep(rhythm[1]) {
							break
						}
					}
				})
				f := transfer(t, from, to, 10*2500000*3/4)
				stop()
				if f.longest > 500*time.Millisecond {
					t.Errorf("the reader waited %v, want at most half a second", f.longest)
				}
				if f.took > 15*time.Second {
					t.Errorf("the transfer took %v, the other path alone would have needed 15s", f.took)
				}
				if n := w.paths[0].Dialled() - 1; n > int(f.took.Seconds()) {
					t.Errorf("the path was dialled %d times in %v, want at most once a second", n, f.took)
				}
				from.Close()
				to.Close()
			})
		})
	}
}

// meanwhile runs do beside the test until it is stopped: then sleep returns false.
func meanwhile(do func(sleep func(time.Duration) bool)) (stop func()) {
	stopped, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		do(func(d time.Duration) bool {
			select {
			case <-stopped:
				return false
			case <-time.After(d):
				return true
			}
		})
	}()
	return func() {
		close(stopped)
		<-done
	}
}

// From one path to the other and back, as on a walk: there is always one.
func TestHandover(t *testing.T) {
	bothWays(t, func(t *testing.T, up bool) {
		w := dialled(t, nil, wan, slow)
		from, to := w.ends(up)
		stop := meanwhile(func(sleep func(time.Duration) bool) {
			for at := 0; ; at = 1 - at {
				w.paths[at].Cut()
				more := sleep(3 * time.Second)
				w.paths[at].Heal()
				if !more || !sleep(time.Second) {
					return
				}
			}
		})
		f := transfer(t, from, to, 20*1250000)
		stop()
		if f.longest > 600*time.Millisecond {
			t.Errorf("the reader waited %v, want at most 600ms on a path of 100ms", f.longest)
		}
		from.Close()
		to.Close()
	})
}

// Connections that a middlebox forgets every few seconds carry a transfer all the same.
func TestMiddleboxForgets(t *testing.T) {
	for name, n := range map[string]int{"one": 1, "all": 2} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, up bool) {
				w := dialled(t, nil, wan, wan)
				from, to := w.ends(up)
				stop := meanwhile(func(sleep func(time.Duration) bool) {
					for sleep(5 * time.Second) {
						for _, p := range w.paths[:n] {
							p.Reset()
						}
					}
				})
				f := transfer(t, from, to, 12*2500000)
				stop()
				if f.longest > 500*time.Millisecond || f.took > 15*time.Second {
					t.Errorf("the transfer took %v and the reader waited %v; want 15s and half a second at most", f.took, f.longest)
				}
				from.Close()
				to.Close()
			})
		})
	}
}

// A laptop sleeps, longer than anything notices, and wakes up elsewhere: all old connections are dead, the session goes on.
func TestRoam(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, wan, wan)
		w.start(w.path(0))
		c, s := w.stream()
		w.paths[0].Cut()
		time.Sleep(4 * time.Minute)
		if err := w.client.RemovePath("a"); err != nil {
			t.Fatal(err)
		}
		if err := w.client.AddPath(w.path(1)); err != nil {
			t.Fatal(err)
		}
		added := time.Now()
		if err := w.client.WaitUp(t.Context()); err != nil || time.Since(added) > time.Second {
			t.Errorf("up %v after the new path came: %v; want at most 1s", time.Since(added), err)
		}
		transfer(t, c, s, 1<<20)
		c.Close()
		s.Close()
		w.paths[0].Heal()
	})
}

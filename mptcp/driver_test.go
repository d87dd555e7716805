package mptcp

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// stuckLog is a log whose writer stops.
type stuckLog struct {
	stops atomic.Bool
	stuck chan struct{} // closed when it goes on
	lines chan struct{} // holds a token a line since it has stopped
}

func (h *stuckLog) Enabled(context.Context, slog.Level) bool { return true }
func (h *stuckLog) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *stuckLog) WithGroup(string) slog.Handler            { return h }
func (h *stuckLog) Handle(context.Context, slog.Record) error {
	if h.stops.Load() {
		h.lines <- struct{}{}
		<-h.stuck
	}
	return nil
}

// A log that takes nothing holds up nobody but who tells it.
func TestStuckLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &stuckLog{stuck: make(chan struct{}), lines: make(chan struct{}, 1000)}
		w := dialled(t, &Config{Logger: slog.New(h)}, wan, slow)
		from, to := w.stream()
		h.stops.Store(true)
		w.paths[1].Reset()
		<-h.lines
		if f := transfer(t, from, to, 1250000); f.took > 2*time.Second {
			t.Errorf("with a stuck log a second's worth took %v", f.took)
		}
		if st := w.client.Stats(); st.State != "up" {
			t.Errorf("with a stuck log the session is %s", st.State)
		}
		close(h.stuck)
		from.Close()
		to.Close()
	})
}

// A timer that has fired has left nothing due: an overdue deadline would have it fire again and again.
func TestTimerDoesNotSpin(t *testing.T) {
	bothWays(t, func(t *testing.T, up bool) {
		w := newWorld(t, nil, wan, slow, wan)
		w.start(w.all(RolePrimary, RoleSecondary, RoleBackup)...)
		from, to := w.ends(up)
		go push(from, 30*1250000)
		result := make(chan flow)
		go func() { result <- pull(to) }()
		events := map[int]func(){
			200:  w.paths[0].Cut,
			500:  w.paths[1].CutUp,
			700:  w.paths[0].Heal,
			800:  w.paths[1].Heal,
			900:  w.paths[0].Cut,
			950:  w.paths[1].Cut,
			1000: w.paths[2].Cut,
			1100: w.paths[0].Heal,
			1150: w.paths[1].Reset,
			1200: w.paths[1].Heal,
			1250: w.paths[2].Heal,
		}
		for i := range 2000 {
			time.Sleep(10 * time.Millisecond)
			if do := events[i]; do != nil {
				do()
			}
			for _, s := range []*Session{w.client, w.server} {
				s.mu.Lock()
				s.core.HandleTimer(s.now())
				s.drain()
				if at := s.core.Deadline(); at != 0 && at <= s.now() {
					t.Errorf("at %v a deadline is due since %v although the timer has just fired", s.now(), s.now()-at)
				}
				s.unlock()
			}
		}
		to.Reset()
		from.Reset()
		<-result
	})
}

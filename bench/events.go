package bench

import (
	"context"
	"sync"
	"time"
)

// eventClock makes the events of a scenario happen while a workload runs.
type eventClock struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// startEvents starts the clock of the events. They are marked in rec, which
// may be read after stop.
func (st *stand) startEvents(ctx context.Context, rec *Record) *eventClock {
	c := &eventClock{}
	ctx, c.cancel = context.WithCancel(ctx)
	var mu sync.Mutex // guards marks
	start := time.Now()
	for _, e := range st.t.scenario.Events {
		c.wg.Go(func() {
			st.happen(ctx, e, func(at time.Time) error {
				mu.Lock()
				defer mu.Unlock()
				rec.Marks = append(rec.Marks, Mark{round(at.Sub(start).Seconds(), 3), e.Do})
				return st.site.Do(e.Do)
			})
		})
	}
	return c
}

// happen carries out one event at its times until ctx ends.
func (st *stand) happen(ctx context.Context, e Event, do func(time.Time) error) {
	start := time.Now()
	for at := st.stretch(e.At); ; at += st.stretch(e.Every) {
		if pause(ctx, time.Until(start.Add(at))) != nil {
			return
		}
		if err := do(time.Now()); err != nil {
			st.log.Warn("event failed", "event", e.Do, "err", err)
			return
		}
		if e.Every <= 0 {
			return
		}
	}
}

// stretch fits the times of events to a run that is shorter than usual. What
// the scenario itself scales is written in its events already.
func (st *stand) stretch(d time.Duration) time.Duration {
	return time.Duration(float64(d) * st.r.timeScale())
}

func (c *eventClock) stop() {
	c.cancel()
	c.wg.Wait()
}

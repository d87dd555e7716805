package bench

import (
	"context"
	"errors"
	"time"
)

// Starter is a Stage that has no connection to the egress until it is told, so that how one comes to be can be measured. It
// is not tried out before the workload.
type Starter interface {
	Stage
	// Start connects, and disconnects again when it has seen enough or ctx has ended.
	Start(ctx context.Context) (Start, error)
}

// Start is how a connection to the egress came to be, counted from the begin of dialling. What did not happen in time is 0.
type Start struct {
	Up     time.Duration // until the client knew that the egress has the session, or the connection
	Second time.Duration // until another path could carry data of it
}

// EstablishLimit is how long a start may take: what has not happened by then counts as not happening.
const EstablishLimit = 6 * time.Second

const (
	establishTimes = 5
	establishPause = 100 * time.Millisecond
	// establishVain is how many starts that come to nothing are enough to say so.
	establishVain = 2
)

// Establish measures how sessions start. It is for stages that are Starters only, and so not among Workloads.
func Establish() Workload {
	return Workload{
		Name: "establish", Title: "A session starts",
		Metrics: []Metric{
			{"up", "until the session is up", "ms", Lower},
			{"second", "until a second path is usable", "ms", Lower},
		},
		Time: func(s *Setting) time.Duration { return establishTimes * (time.Second + establishPause + 8*s.RTT) },
		// A start may have two sessions, and a second path that is waited for.
		Limit: establishTimes * 4 * EstablishLimit,
		Run:   runEstablish,
	}
}

func runEstablish(ctx context.Context, s *Setting, r *Record) error {
	if s.Start == nil {
		return errors.New("this transport cannot be started by the workload")
	}
	samples := map[string][]float64{}
	note := func(metric string, d time.Duration) {
		if d <= 0 || d > EstablishLimit {
			d = EstablishLimit
		}
		samples[metric] = append(samples[metric], round(millis(d), 3))
	}
	vain := 0
	for range establishTimes {
		began, err := s.Start(ctx)
		if err != nil {
			return ended(ctx, err)
		}
		note("up", began.Up)
		note("second", began.Second)
		if began.Up == 0 {
			vain++
		}
		if vain == establishVain && len(samples["up"]) == vain {
			break
		}
		if err := pause(ctx, establishPause); err != nil {
			return err
		}
	}
	for metric, values := range samples {
		r.Samples[metric] = values
		if v := median(values); v < millis(EstablishLimit) {
			r.Metrics[metric] = v
		} else {
			r.atLeast(metric, v)
		}
	}
	return nil
}

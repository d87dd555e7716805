package upstream

import (
	"math"
	"sync"
	"time"
)

const (
	// shareWindow is how long traffic counts for the shares of the paths: what they do now, not what they did last night.
	shareWindow = 10 * time.Second
	// tallyEvery is how often the counters are looked at.
	tallyEvery = time.Second
	// rateWindow is what the rates are of: short, because people watch them, and long enough not to flicker.
	rateWindow = 3 * time.Second
	// maxTallied bounds the names that counters are kept for: a machine may see many interfaces in its life.
	maxTallied = 256
)

// tally keeps count of what paths have carried since the start, under their names: a path that goes and comes back, and a session that
// ends, begin to count anew, but people do not care for that.
type tally struct {
	mu    sync.Mutex
	paths map[string]*tallied
}

type tallied struct {
	seen, sum [2]uint64 // sent, received: as last reported, and in all
	marks     []mark    // sums of the last shareWindow, oldest first, and one that is older
	last      time.Time // when the path was last there
	state     string
	since     time.Time // when it was first seen in that state
}

type mark struct {
	at  time.Time
	sum [2]uint64
}

// count takes the counters of the paths in and replaces them by the sums, and the shares by those of late.
func (t *tally) count(paths []PathStatus, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all float64
	late := make([]float64, len(paths))
	for i := range paths {
		p := &paths[i]
		x := t.of(p.Name, now)
		for j, raw := range []*uint64{&p.TxBytes, &p.RxBytes} {
			if *raw < x.seen[j] {
				x.seen[j] = 0 // counted anew
			}
			x.sum[j] += *raw - x.seen[j]
			x.seen[j], *raw = *raw, x.sum[j]
		}
		late[i] = float64(x.late(now))
		p.TxRate, p.RxRate = x.rates(now)
		if x.state != p.State {
			x.state, x.since = p.State, now
		}
		p.Since = x.since
		all += late[i]
	}
	for i := range paths {
		if paths[i].Share = 0; all > 0 {
			paths[i].Share = round3(late[i] / all)
		}
	}
}

// of returns the record of a path. mu is held.
func (t *tally) of(name string, now time.Time) *tallied {
	x := t.paths[name]
	if x == nil {
		if t.paths == nil {
			t.paths = make(map[string]*tallied)
		}
		if len(t.paths) >= maxTallied {
			t.forgetOldest()
		}
		x = &tallied{marks: []mark{{at: now}}}
		t.paths[name] = x
	}
	x.last = now
	return x
}

func (t *tally) forgetOldest() {
	oldest := ""
	for name, x := range t.paths {
		if oldest == "" || x.last.Before(t.paths[oldest].last) {
			oldest = name
		}
	}
	delete(t.paths, oldest)
}

// late returns what the path has carried in the last shareWindow, or a little longer.
func (x *tallied) late(now time.Time) uint64 {
	for len(x.marks) > 1 && now.Sub(x.marks[1].at) >= shareWindow {
		x.marks = x.marks[1:]
	}
	if now.Sub(x.marks[len(x.marks)-1].at) >= tallyEvery {
		x.marks = append(x.marks, mark{now, x.sum})
	}
	first := x.marks[0].sum
	return x.sum[0] - first[0] + x.sum[1] - first[1]
}

// rates are the bytes per second sent and received in the last rateWindow or as long as the path is known; nil in its first moment.
func (x *tallied) rates(now time.Time) (tx, rx *float64) {
	from := x.marks[0]
	for _, m := range x.marks[1:] {
		if now.Sub(m.at) < rateWindow {
			break
		}
		from = m
	}
	span := now.Sub(from.at)
	if span < tallyEvery/2 {
		return nil, nil
	}
	rate := func(i int) *float64 {
		r := math.Round(float64(x.sum[i]-from.sum[i]) / span.Seconds())
		return &r
	}
	return rate(0), rate(1)
}

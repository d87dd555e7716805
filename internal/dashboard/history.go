package dashboard

import (
	"math"
	"time"
)

const (
	// span is how many samples are kept: five minutes, and the one they begin with.
	span = 301
	// maxSeries bounds what has a chart.
	maxSeries = 64
)

// history has the rates of the last minutes. Samples that are not there, because a path was not or the machine slept, are null.
type history struct {
	times []int64 // of the samples, oldest first, in milliseconds since 1970
	of    map[string]*rates
	at    time.Time // of the last sample
}

// rates are those of one thing, one a sample.
type rates struct {
	down, up []*int // bytes per second
	last     Counter
	seen     bool // last is of the sample before
}

// series is a history as JSON has it.
type series struct {
	Times []int64           `json:"t"`
	Down  map[string][]*int `json:"down"`
	Up    map[string][]*int `json:"up"`
}

// sample takes counters in.
func (h *history) sample(now time.Time, counters []Counter) {
	took := now.Sub(h.at).Seconds()
	h.at = now
	h.times = keep(append(h.times, now.UnixMilli()))
	if h.of == nil {
		h.of = make(map[string]*rates)
	}
	there := make(map[string]Counter, len(counters))
	for _, c := range counters {
		there[c.Name] = c
		if h.of[c.Name] == nil && len(h.of) < maxSeries {
			h.of[c.Name] = &rates{down: make([]*int, len(h.times)-1), up: make([]*int, len(h.times)-1)}
		}
	}
	for name, r := range h.of {
		c, ok := there[name]
		r.take(c, ok, took)
		if r.empty() {
			delete(h.of, name)
		}
	}
}

// take appends what became of c in the time since the last sample.
func (r *rates) take(c Counter, ok bool, took float64) {
	var down, up *int
	if ok && r.seen && took > 0 && c.Down >= r.last.Down && c.Up >= r.last.Up {
		down, up = perSecond(c.Down-r.last.Down, took), perSecond(c.Up-r.last.Up, took)
	}
	r.down, r.up = keep(append(r.down, down)), keep(append(r.up, up))
	r.last, r.seen = c, ok
}

// empty reports whether nothing is known of the thing any more.
func (r *rates) empty() bool {
	if r.seen {
		return false
	}
	for _, v := range r.down {
		if v != nil {
			return false
		}
	}
	return true
}

func perSecond(n uint64, took float64) *int {
	v := int(math.Round(float64(n) / took))
	return &v
}

// keep returns the newest of a list.
func keep[T any](list []T) []T {
	if n := len(list) - span; n > 0 {
		copy(list, list[n:])
		clear(list[span:])
		list = list[:span]
	}
	return list
}

// latest are the rates of the last sample.
func (h *history) latest() map[string]*[2]int {
	out := make(map[string]*[2]int, len(h.of))
	for name, r := range h.of {
		var v *[2]int
		if n := len(r.down); n > 0 && r.down[n-1] != nil {
			v = &[2]int{*r.down[n-1], *r.up[n-1]}
		}
		out[name] = v
	}
	return out
}

// all is a copy of everything.
func (h *history) all() series {
	s := series{Times: append([]int64{}, h.times...), Down: make(map[string][]*int), Up: make(map[string][]*int)}
	for name, r := range h.of {
		s.Down[name] = append([]*int{}, r.down...)
		s.Up[name] = append([]*int{}, r.up...)
	}
	return s
}

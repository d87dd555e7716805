package bench

import (
	"sync"
	"time"
)

// meter counts bytes over time, in slots of meterStep.
type meter struct {
	mu    sync.Mutex
	slots []int64
	total int64
	gap   gaps
}

const meterStep = 10 * time.Millisecond

// add counts n bytes that came at a time after the start.
func (m *meter) add(at time.Duration, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at = max(at, 0)
	i := int(at / meterStep)
	for len(m.slots) <= i {
		m.slots = append(m.slots, 0)
	}
	m.slots[i] += n
	m.total += n
	m.gap.arrival(at)
}

// sum is all there was.
func (m *meter) sum() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total
}

// rate is the Mbit/s between two times after the start.
func (m *meter) rate(from, to time.Duration) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	var n int64
	for i := int(from / meterStep); i < int(to/meterStep) && i < len(m.slots); i++ {
		n += m.slots[i]
	}
	if to <= from {
		return 0
	}
	return mbps(n, to-from)
}

// series is the rate up to end in steps.
func (m *meter) series(name string, step, end time.Duration) Series {
	s := Series{Name: name, Unit: "Mbit/s", Step: step.Seconds()}
	for at := time.Duration(0); at < end; at += step {
		s.Values = append(s.Values, round(m.rate(at, at+step), 3))
	}
	return s
}

// silence is the longest time without an arrival that touches [from, to]; a
// silence that lasts to the end of the record, at end, counts up to there.
func (m *meter) silence(from, to, end time.Duration) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gap.longest(from, to, end)
}

// silenceAfter is the longest silence that began after a time.
func (m *meter) silenceAfter(from, end time.Duration) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gap.longestSince(from, end)
}

func mbps(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) * 8 / d.Seconds() / 1e6
}

// gaps remembers silences between arrivals; only long ones, there are few.
type gaps struct {
	last time.Duration
	list [][2]time.Duration
}

const shortGap = 5 * time.Millisecond

func (g *gaps) arrival(at time.Duration) {
	if at-g.last > shortGap {
		g.list = append(g.list, [2]time.Duration{g.last, at})
	}
	g.last = max(g.last, at)
}

// until is all silences, with the one that lasts to the end.
func (g *gaps) until(end time.Duration) [][2]time.Duration {
	return append(g.list[:len(g.list):len(g.list)], [2]time.Duration{g.last, end})
}

// longest is the longest silence of which a part lies between two times.
func (g *gaps) longest(from, to, end time.Duration) time.Duration {
	var most time.Duration
	for _, s := range g.until(end) {
		if s[0] < to && s[1] > from {
			most = max(most, s[1]-s[0])
		}
	}
	return most
}

// longestSince is the longest silence that began at a time or later.
func (g *gaps) longestSince(from, end time.Duration) time.Duration {
	var most time.Duration
	for _, s := range g.until(end) {
		if s[0] >= from {
			most = max(most, s[1]-s[0])
		}
	}
	return most
}

package bench

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/mpsocks/mpsocks/bench/lab"
)

// Scenario is a set of lines to measure on.
type Scenario struct {
	Name  string
	Title string // the lines in a few words, as a heading
	Why   string // what it shows
	Specs []string
	Paths []lab.Path // what Specs say
	// Events happen while a workload runs; their clock starts with each.
	Events []Event
	// Workloads that make sense here; nil means all.
	Workloads []string
	// Quick are the workloads of the quick set; a scenario without any is not
	// in it.
	Quick []string
	// Order are the paths, the best for a single connection first: what uses
	// one path at a time gets to use that one.
	Order []int
	// Cut is the path that the failover workload cuts, -1 for none.
	Cut   int
	Scale Scale
	// Sysctls are kernel settings of both ends.
	Sysctls map[string]string
	// Design says that the scenario is a point of the random design.
	Design bool
}

// Event is a command of the path laboratory at a time of a workload, and again
// after every period if there is one.
type Event struct {
	At, Every time.Duration
	Do        string
}

// String is the event in words.
func (e Event) String() string {
	if e.Every > 0 {
		return fmt.Sprintf("at %s and every %s after that: %s", e.At, e.Every, e.Do)
	}
	return fmt.Sprintf("at %s: %s", e.At, e.Do)
}

// Scale fits workloads to lines that are far slower than usual. Zero is 1.
type Scale struct {
	Time  float64 // of durations and pauses
	Bytes float64 // of transfers and messages
}

// payloadShare is what TCP's payload is of a full packet of 1500 bytes, with
// time stamps.
const payloadShare = 1448.0 / 1500

// capacity is the payload rate in Mbit/s that one direction of a path can carry
// at most; 0 is unlimited.
func capacity(l lab.Link) float64 {
	rate := l.Rate
	if l.Police.Rate > 0 && (rate == 0 || l.Police.Rate < rate) {
		rate = l.Police.Rate
	}
	return float64(rate) * payloadShare * (1 - loss(l)) / 1e6
}

// loss is the long-run share of packets that a link loses at random.
func loss(l lab.Link) float64 {
	share := l.Loss
	if b := l.Burst; b.Enter > 0 {
		in := 1.0
		if b.Loss > 0 {
			in = b.Loss
		}
		bad := b.Enter / (b.Enter + b.Leave)
		share = 1 - (1-share)*(1-bad*in)
	}
	return share
}

// bestFirst orders paths by what a single connection would make of them: rate,
// but half of it where packets get lost, then round-trip time.
func bestFirst(paths []lab.Path) []int {
	worth := func(p lab.Path) float64 {
		w := capacity(p.Down)
		if loss(p.Down) > 0 || loss(p.Up) > 0 {
			w /= 2
		}
		return w
	}
	order := make([]int, len(paths))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(worth(paths[b]), worth(paths[a])), cmp.Compare(paths[a].RTT(), paths[b].RTT()))
	})
	return order
}

// ceiling is what the paths carry in one direction, by their settings.
func ceiling(paths []lab.Path, dir lab.Direction) Ceiling {
	var c Ceiling
	for _, p := range paths {
		l := p.Down
		if dir == lab.Uplink {
			l = p.Up
		}
		c.Sum += capacity(l)
		c.Best = max(c.Best, capacity(l))
	}
	return c
}

// PathName is the name of path i.
func (s *Scenario) PathName(i int) string {
	if n := s.Paths[i].Name; n != "" {
		return n
	}
	return fmt.Sprintf("path%d", i) // as the laboratory calls it
}

// maxRTT is the longest round trip of the scenario's paths.
func (s *Scenario) maxRTT() time.Duration {
	var rtt time.Duration
	for _, p := range s.Paths {
		rtt = max(rtt, p.RTT())
	}
	return rtt
}

// scene is the scenario for the results.
func (s *Scenario) scene() Scene {
	sc := Scene{
		Name: s.Name, Title: s.Title, Why: s.Why, Cut: s.Cut,
		Down: ceiling(s.Paths, lab.Downlink), Up: ceiling(s.Paths, lab.Uplink),
	}
	for i, p := range s.Paths {
		sc.Lines = append(sc.Lines, Line{
			Name: s.PathName(i), Spec: s.Specs[i], RTT: millis(p.RTT()), Up: lineDir(p.Up, p.RTT()), Down: lineDir(p.Down, p.RTT()),
		})
	}
	for _, e := range s.Events {
		sc.Events = append(sc.Events, e.String())
	}
	return sc
}

func lineDir(l lab.Link, rtt time.Duration) LineDir {
	return LineDir{Rate: float64(l.Rate) / 1e6, Loss: loss(l), Queue: queueBytes(l, rtt)}
}

// queueBytes is the limit of a link's queue, as the laboratory computes it.
func queueBytes(l lab.Link, rtt time.Duration) float64 {
	if l.Rate == 0 {
		return 0 // nothing waits, or nobody knows
	}
	bytesPerSecond := float64(l.Rate) / 8
	switch q := l.Queue; {
	case q.Bytes > 0:
		return float64(q.Bytes)
	case q.Time > 0:
		return bytesPerSecond * q.Time.Seconds()
	case q.BDP > 0:
		return max(64<<10, q.BDP*bytesPerSecond*rtt.Seconds())
	}
	return max(64<<10, bytesPerSecond*rtt.Seconds())
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

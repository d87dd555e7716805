package sched

import "time"

// Earliest completion time ("ect") lets a subflow take octets only if they arrive on it before the other subflows together could have delivered all that
// waits. It asks what ECF asks (Lim, Nahum, Towsley, Gibbens: "ECF: An MPTCP Path Scheduler to Manage Heterogeneous Paths", CoNEXT 2017), but of
// rates and of all paths instead of windows and two. A slow path therefore never makes a transfer slower than the
// fast ones alone, and still carries its share of a long one.
type Earliest struct{}

// slack is what a path may be later by and still be used: below it the estimates are noise.
const slack = 2 * time.Millisecond

// Name returns "ect".
func (Earliest) Name() string { return "ect" }

// Copies returns false.
func (Earliest) Copies() bool { return false }

// Decide implements Policy.
func (Earliest) Decide(i int, paths []Path, job Job) Verdict {
	if v := Admit(i, paths); v != Send {
		return v
	}
	mine := paths[i].Arrival(job.Chunk)
	if mine <= slack || soonest(i, paths, job.Chunk, mine) {
		return Send
	}
	if without(i, paths, mine-slack) >= float64(job.Backlog) {
		return HeldSlow
	}
	return Send
}

// soonest reports whether no other admitted path has the chunk there earlier: such a path never waits, or several alike would
// all wait for each other.
func soonest(i int, paths []Path, chunk int, mine time.Duration) bool {
	for j := range paths {
		if q := &paths[j]; j != i && !q.Suspect && !q.below(&paths[i]) && q.Arrival(chunk) < mine {
			return false
		}
	}
	return true
}

// without returns how many octets the paths other than i, as good as i or better, can deliver within d.
func without(i int, paths []Path, d time.Duration) float64 {
	sum := 0.0
	for j := range paths {
		q := &paths[j]
		if j == i || q.Suspect || q.below(&paths[i]) {
			continue
		}
		if t := d - q.Arrival(0); t > 0 {
			sum += q.Rate * t.Seconds()
		}
	}
	return sum
}

// aheadSlack is what a path may be later by than another and count as soon.
const aheadSlack = 10 * time.Millisecond

// Ahead returns how many octets the paths that are sooner than i deliver until more after n octets that i is given now have arrived: whatever comes before those
// in order can be left to them. It is nothing for a path that is about as soon as the others.
func Ahead(i int, paths []Path, n int, more time.Duration) int {
	sum, mine := 0.0, paths[i].due(n)
	for j := range paths {
		q := &paths[j]
		if j == i || q.Suspect || q.below(&paths[i]) {
			continue
		}
		if d := mine - q.due(n); d > aheadSlack {
			sum += q.Rate * (d + more).Seconds()
		}
	}
	return int(min(sum, 1<<30))
}

// due is Arrival, but no sooner than what arrived lately took: where lost packets are repaired that is far later.
func (p *Path) due(n int) time.Duration { return max(p.Arrival(n), p.SRTT-p.MinRTT/2) }

package proto

import "math"

// lossShare is how many of the segments that the kernel has sent on a path it had to send again, older ones fading. It is for people: nothing is decided
// by it.
type lossShare struct {
	looked     bool
	last       [2]uint64 // the kernel's counters when last looked at: sent, sent again
	sent, lost float64
}

const (
	lossFade  = 3000 // segments after which one counts for a third
	lossKnown = 100  // so many must have been sent before the share says anything
)

// take takes in the kernel's counters of segments with data.
func (l *lossShare) take(sent, again uint64) {
	if !l.looked || sent < l.last[0] || again < l.last[1] {
		l.looked, l.last = true, [2]uint64{sent, again}
		return
	}
	more, lost := float64(sent-l.last[0]), float64(again-l.last[1])
	l.last = [2]uint64{sent, again}
	fade := math.Exp(-more / lossFade)
	l.sent, l.lost = l.sent*fade+more, l.lost*fade+lost
}

// Loss returns the share of segments that the path lost lately, 0 to 1, of those that this side has sent; false while too few were, or where the kernel
// does not count them.
func (sf *Subflow) Loss() (share float64, known bool) {
	l := &sf.losses.share
	if l.sent < lossKnown {
		return 0, false
	}
	return min(l.lost/l.sent, 1), true
}

package netsim

import "time"

// Link is what one direction of a path can do.
type Link struct {
	// Rate is in octets per second. Zero: without bound.
	Rate int
	// Delay is the time from one end to the other, without the time a segment takes at Rate.
	Delay time.Duration
	// Buffer is how many octets a connection takes in this direction before the other end has read them: written, under way and unread
	// together. Zero: 256 KiB, or four times what is under way at Rate and Delay, if that is more.
	Buffer int
}

const (
	minBuffer  = 256 << 10
	minSegment = 1460     // what one packet carries
	maxSegment = 16 << 10 // fast links take more at once: fewer steps to simulate
	// segmentSpan is how long a link may be busy with one segment, if that is more than a packet.
	segmentSpan = time.Millisecond
)

func (l Link) buffer() int {
	if l.Buffer > 0 {
		return l.Buffer
	}
	return max(minBuffer, 4*int(float64(l.Rate)*l.Delay.Seconds()))
}

func (l Link) segment() int {
	if l.Rate <= 0 {
		return maxSegment
	}
	return min(max(int(float64(l.Rate)*segmentSpan.Seconds()), minSegment), maxSegment)
}

// serialise is how long n octets occupy the link.
func (l Link) serialise(n int) time.Duration {
	if l.Rate <= 0 {
		return 0
	}
	return time.Duration(float64(n) / float64(l.Rate) * float64(time.Second))
}

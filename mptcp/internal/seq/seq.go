// Package seq holds the arithmetic of 64-bit data sequence numbers (RFC 8684, section 3.3): numbers that start anywhere,
// wrap round, and are compared by their distance. It is pure: no I/O, no clock, no locks.
package seq

import "math"

// DSN is a data sequence number. Two DSNs are comparable while they lie less than 2^63 apart, which flow control ensures.
type DSN uint64

// Add returns the number n octets after d.
func (d DSN) Add(n int) DSN { return d + DSN(n) }

// Sub returns how many octets d lies after e; negative when it lies before. Where an int has 32 bits, a distance beyond it becomes the longest
// there is, never a short one.
func (d DSN) Sub(e DSN) int { return int(max(min(int64(d-e), math.MaxInt), math.MinInt)) }

// Before reports whether d comes before e.
func (d DSN) Before(e DSN) bool { return int64(d-e) < 0 }

// After reports whether d comes after e.
func (d DSN) After(e DSN) bool { return int64(d-e) > 0 }

// Max returns the later of a and b.
func Max(a, b DSN) DSN {
	if a.Before(b) {
		return b
	}
	return a
}

// Min returns the earlier of a and b.
func Min(a, b DSN) DSN {
	if a.Before(b) {
		return a
	}
	return b
}

// Range is the half-open interval [Start, End).
type Range struct{ Start, End DSN }

// Len returns the number of octets in r.
func (r Range) Len() int { return r.End.Sub(r.Start) }

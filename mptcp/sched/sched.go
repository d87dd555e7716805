// Package sched decides which subflow carries the next octets. The session asks a Policy at the last moment, when a subflow has room
// ("pull"); the policy answers whether that subflow may take them, or whether they would arrive sooner if they waited for another.
//
// A policy is pure: it is given a picture of all subflows and of the work, keeps no state between calls, reads no clock and takes no
// lock. TestPolicy in this package is the conformance test every policy must pass.
package sched

import "time"

// Role says what a path is for. It extends the backup bit of RFC 8684, section 3.3.8, by what owners of metered lines ask for.
type Role uint8

// The roles, best first.
const (
	// Primary paths carry data whenever that helps.
	Primary Role = iota
	// Secondary paths join in when every primary path is saturated (overflow).
	Secondary
	// Backup paths carry data only while no other path works.
	Backup
	// Never paths carry none.
	Never
)

// String returns the word used in configuration and status.
func (r Role) String() string {
	return [...]string{"primary", "secondary", "backup", "never"}[min(r, Never)]
}

// ParseRole is the inverse of String; ok is false for an unknown word.
func ParseRole(s string) (r Role, ok bool) {
	for r := Primary; r <= Never; r++ {
		if r.String() == s {
			return r, true
		}
	}
	return Primary, false
}

// Path is a subflow as a policy sees it.
type Path struct {
	Role Role
	// Suspect: it owes an answer for longer than its own round trips explain.
	Suspect bool
	// Saturated: as much is in flight on it as it should have.
	Saturated bool
	// Rate is the estimated delivery rate in octets per second, above 0.
	Rate float64
	// MinRTT is the lowest round-trip time seen; SRTT the smoothed one, queues included.
	MinRTT, SRTT time.Duration
	// InFlight is how many octets were given to it and are not yet known to have arrived.
	InFlight int
}

// Arrival returns how long it takes until n more octets, given to p now, have arrived at the peer: the wait behind what is in flight
// already, the way there (half the round trip), and their own serialisation.
func (p *Path) Arrival(n int) time.Duration {
	half := p.MinRTT / 2
	return max(half, seconds(float64(p.InFlight)/p.Rate)-half) + seconds(float64(n)/p.Rate)
}

func seconds(s float64) time.Duration { return time.Duration(min(s, 3600) * float64(time.Second)) }

// Job is the work to be placed.
type Job struct {
	// Chunk is how many octets the asking subflow would take now.
	Chunk int
	// Backlog is how many octets wait that compete with them, these included.
	Backlog int
}

// Verdict is an answer of a policy.
type Verdict uint8

// The verdicts; all but Send are reasons why a subflow stays idle, in the words that people read in a path's status.
const (
	Send Verdict = iota
	// HeldSlow: the others deliver everything that waits before this subflow would deliver the chunk.
	HeldSlow
	// HeldRole: a path with a better role is there for it.
	HeldRole
	// HeldSuspect: the path does not answer and another one does.
	HeldSuspect
)

// String returns the reason for people.
func (v Verdict) String() string {
	return [...]string{"sending", "held: other paths deliver sooner", "standby: better paths are not saturated", "suspect: no answer"}[min(v, HeldSuspect)]
}

// A Policy decides. Decide is called with i, the index in paths of the subflow that asks; paths has every subflow of the session that
// could carry data. The slice is the caller's and valid during the call only.
//
// Every policy must answer Send when i is the only path that is neither Suspect nor of role Never, and must not answer Send for a Backup path
// while a better one works; a session may therefore rely on progress while any path lives.
type Policy interface {
	Name() string
	Decide(i int, paths []Path, job Job) Verdict
}

// ByName returns the policy called name ("earliest", "pull"); ok is false if there is none.
func ByName(name string) (Policy, bool) {
	switch name {
	case "", "earliest":
		return Earliest{}, true
	case "pull":
		return Pull{}, true
	default:
		return nil, false
	}
}

// admit applies what every policy obeys: roles and suspicion.
func admit(i int, paths []Path) Verdict {
	p := &paths[i]
	if p.Role == Never {
		return HeldRole
	}
	for j := range paths {
		q := &paths[j]
		if j == i || q.Suspect || q.Role == Never {
			continue
		}
		switch {
		case p.Suspect:
			return HeldSuspect
		case p.Role == Backup && q.Role < Backup:
			return HeldRole
		case p.Role == Secondary && q.Role == Primary && !q.Saturated:
			return HeldRole
		}
	}
	return Send
}

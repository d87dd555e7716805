// Package sched decides which subflow carries the next octets. The session asks a Policy at the last moment, when a subflow has room
// ("pull"); the policy answers whether that subflow may take them, or whether they would arrive sooner if they waited for another.
//
// A policy is pure: it is given a picture of all subflows and of the work, keeps no state between calls, reads no clock and takes no
// lock. TestPolicy in this package is the conformance test every policy must pass.
//
// Where new octets go is all that a policy decides. How much may be in flight on a path, which stream comes first, and what is sent
// again because its path is gone, silent or late is the session's, and the same whatever the policy.
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
	// Spills: octets have waited for it for so long that paths which are for what it cannot carry may help while it is Saturated.
	Spills bool
	// Busy: it was given a record and has not asked for the next one, mostly because its socket has no room.
	Busy bool
	// Rate is the estimated delivery rate in octets per second, above 0.
	Rate float64
	// MinRTT is the lowest round-trip time seen; SRTT the smoothed one, queues included.
	MinRTT, SRTT time.Duration
	// InFlight is how many octets were given to it and are not yet known to have arrived, Window how many may be.
	InFlight, Window int
	// Cost orders paths of one role: one that costs more waits until those that cost less are saturated, a backup until they do not answer.
	Cost uint8
	// Turn grows with every record that any path is given: this path's last one. Zero: it never had one.
	Turn uint64
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
	// Window is how many octets their stream may have under way, those that are included; 0: what it may has been counted before.
	Window int
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
	// HeldFar: a path with a lower round-trip time has room.
	HeldFar
	// HeldWindow: the chunk would keep part of the stream's window for longer than a faster path takes to fill the rest.
	HeldWindow
	// HeldTurn: a path that has waited longer has room.
	HeldTurn
	// HeldCost: a path of the same role that costs less is there for it.
	HeldCost
)

var verdicts = [...]string{
	"sending", "held: other paths deliver sooner", "standby: better paths are not saturated", "suspect: no answer",
	"held: a nearer path has room", "held: would block the window", "held: another path's turn", "standby: cheaper paths are not saturated",
}

// String returns the reason for people.
func (v Verdict) String() string { return verdicts[min(int(v), len(verdicts)-1)] }

// A Policy decides. Decide is called with i, the index in paths of the subflow that asks, and which therefore has room; paths has every subflow
// of the session that could carry data. The slice is the caller's and valid during the call only.
//
// Every policy must answer as Admit does where Admit refuses, so that roles hold. It must answer Send when i is the only path that Admit allows, and
// to at least one of those that Admit allows if none of them is Saturated or Busy. A session may therefore rely on progress while any path lives.
//
// A path held by HeldFar is asked again when another one becomes Saturated, by HeldTurn when another one was given a record, by any verdict
// whenever something arrives or is written.
type Policy interface {
	Name() string
	// Copies reports whether a path that has room, and that Admit allows, is to carry what others carry and the peer is not known to have, before
	// anything new. It is always the same.
	Copies() bool
	Decide(i int, paths []Path, job Job) Verdict
}

// policies are those there are; the first is the default.
var policies = []Policy{Earliest{}, MinRTT{}, BLEST{}, RoundRobin{}, Redundant{}}

// Names returns what policies are called: "ect", "minrtt", "blest", "roundrobin", "redundant". The first is the default.
func Names() []string {
	names := make([]string, len(policies))
	for i, p := range policies {
		names[i] = p.Name()
	}
	return names
}

// ByName returns the policy called name, the default for ""; ok is false if there is none.
func ByName(name string) (p Policy, ok bool) {
	for _, p := range policies {
		if name == "" || p.Name() == name {
			return p, true
		}
	}
	return nil, false
}

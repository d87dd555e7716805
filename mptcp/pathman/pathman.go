// Package pathman decides which paths should have a subflow, and when a path without one is dialled (again). It is pure: no I/O, no locks, no
// goroutines; the time and random numbers are arguments.
package pathman

import "github.com/mpsocks/mpsocks/mptcp/sched"

// State is where a path stands. Up and Suspect are those of its subflow.
type State uint8

// The states of a path.
const (
	New        State = iota // never tried
	Probing                 // being dialled
	Up                      // has a subflow that answers
	Suspect                 // has one that does not
	Down                    // has none; will be dialled as soon as its wait is over
	Cooldown                // failed several times in a row: waits longer
	Standby                 // not wanted now
	Quarantine              // altered what it carried: waits for long
)

// String returns the word used in status and logs.
func (s State) String() string {
	return [...]string{"new", "probing", "up", "suspect", "down", "cooldown", "standby", "quarantine"}[min(s, Quarantine)]
}

// View is a path as a policy sees it.
type View struct {
	Role  sched.Role
	State State
}

// A Policy says which paths should have a subflow. Want is called with every path of the session; the slice is the caller's. It must
// want at least one path of the best role there is, and must be free of side effects: TestPolicy is the conformance test.
type Policy interface {
	Name() string
	Want(i int, paths []View) bool
}

// ByName returns the policy called name; ok is false if there is none.
func ByName(name string) (Policy, bool) {
	switch name {
	case "", "default":
		return Default{}, true
	case "ondemand":
		return OnDemand{}, true
	default:
		return nil, false
	}
}

// Default has a subflow on every path that may ever carry anything, backups included: they stand by, connected, and cost a probe now and then.
type Default struct{}

// Name returns "default".
func (Default) Name() string { return "default" }

// Want implements Policy.
func (Default) Want(i int, paths []View) bool { return paths[i].Role != sched.Never }

// OnDemand connects backup paths only while nothing better works: for lines that cost money to be connected at all. Failover then takes a
// handshake longer.
type OnDemand struct{}

// Name returns "ondemand".
func (OnDemand) Name() string { return "ondemand" }

// Want implements Policy.
func (OnDemand) Want(i int, paths []View) bool {
	switch paths[i].Role {
	case sched.Never:
		return false
	case sched.Backup:
		for _, p := range paths {
			if p.Role < sched.Backup && p.State == Up {
				return false
			}
		}
	}
	return true
}

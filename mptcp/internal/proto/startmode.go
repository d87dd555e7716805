package proto

import "time"

// StartMode says how the paths of a session that is being started go about it: the variants of draft-amend-tcpm-mptcp-robe-02, section 3, and of
// draft-kang-mptcp-initial-path-selection. docs/establishment.md has what each of them costs and gives.
type StartMode uint8

// The start modes.
const (
	StartExt    StartMode = iota // all paths begin a session at once; the first answer decides which, and the others are merged into it by MP_JOIN_CAP
	StartSim                     // all paths begin a session at once; the first answer decides which, and the others join it by MP_JOIN
	StartTimer                   // one path after the other, a while apart (RFC 8305, section 5)
	StartIPS                     // the same, the path that was best lately first
	StartSingle                  // one path; the others join when it has the session
	startModes
)

var startModeNames = [startModes]string{"ext", "sim", "timer", "ips", "single"}

// String returns the mode's name.
func (m StartMode) String() string { return startModeNames[min(m, startModes-1)] }

// StartModeNames are the names of all modes, the default first.
func StartModeNames() []string { return append([]string(nil), startModeNames[:]...) }

// StartModeByName returns the mode of that name; empty is the default.
func StartModeByName(name string) (m StartMode, ok bool) {
	if name == "" {
		return StartExt, true
	}
	for i, n := range startModeNames {
		if n == name {
			return StartMode(i), true
		}
	}
	return StartExt, false
}

// Stagger is how long a path has the start to itself in the modes that take one after the other: the Connection Attempt Delay of RFC 8305, section 5.
const Stagger = 250 * time.Millisecond

// Turn is what is known of a path when it is decided whether a later one may start.
type Turn struct {
	Began  Instant // when its first attempt began; zero: not yet
	Failed bool    // its last attempt
}

// StartDue returns when a path may be dialled for a session that is not there yet; before are the paths that come before it. ok is false if that
// depends on one of them doing something.
func (m StartMode) StartDue(before []Turn) (at Instant, ok bool) {
	switch m {
	case StartTimer, StartIPS:
	case StartSingle:
		return 0, len(before) == 0
	default:
		return 0, true
	}
	for _, t := range before {
		switch {
		case t.Failed:
		case t.Began == 0:
			return 0, false
		default:
			at = max(at, t.Began+Stagger)
		}
	}
	return at, true
}

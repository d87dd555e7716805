package upstream

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/mpsocks/mpsocks/internal/units"
	"github.com/mpsocks/mpsocks/mptcp"
)

// ErrNoPath says that there is no path of that name.
var ErrNoPath = errors.New("no such path")

// The modes of a client: what its paths are for, in plain words. docs/paths.md says
// what each of them means.
const (
	ModeAuto       = "auto"        // as the paths' roles say
	ModeAggregate  = "aggregate"   // secondary paths count as primary, costs do not count
	ModeLowLatency = "low-latency" // the path with the shortest round trip first
	ModeHandover   = "handover"    // one path at a time
	ModeRedundant  = "redundant"   // everything by all paths
)

var modes = []string{ModeAuto, ModeAggregate, ModeLowLatency, ModeHandover, ModeRedundant}

// A PathChange is what is to become of a path while the client runs; what is nil
// stays as it is. It holds until the client ends.
type PathChange struct {
	Role      *string // one of the Role constants
	Enabled   *bool   // false: not used, whatever its role
	RateLimit *int64  // bits per second each way; 0: none
}

// check says what is wrong with the change.
func (c PathChange) check() error {
	if c.RateLimit != nil && *c.RateLimit < 0 {
		return fmt.Errorf("rate limit %d: below zero", *c.RateLimit)
	}
	if c.Role == nil {
		return nil
	}
	return checkRole(*c.Role)
}

// A duty is what a path is for just now, on what terms, and why, if that is not what
// its configuration says.
type duty struct {
	role   string
	cost   int
	rate   int64
	byHand bool // the rate
	reason string
}

// byHand is what was changed while the client runs.
type byHand struct {
	role string // empty: as configured
	off  bool
	rate *int64
}

// dutyOf returns what l is for. mu is held.
func (ls *lines) dutyOf(l *line) duty {
	d := ls.byMode(l)
	if l.hand.rate != nil {
		d.rate, d.byHand = *l.hand.rate, true
	}
	if l.hand.role != "" && l.hand.role != d.role {
		d.role, d.reason = l.hand.role, fmt.Sprintf("role set by hand, configured is %s", l.Role)
	}
	if l.capped != "" && rankOf(d.role) < rankOf(RoleBackup) {
		d.role, d.reason = RoleBackup, l.capped
	}
	if l.hand.off {
		d.role, d.reason = RoleNever, "switched off by hand"
	}
	return d
}

// byMode is what the mode makes of the line's configuration. mu is held.
func (ls *lines) byMode(l *line) duty {
	d := duty{role: l.Role, cost: l.Cost, rate: l.RateLimit}
	switch ls.mode {
	case ModeAggregate:
		d.cost = 0
		if d.role == RoleSecondary {
			d.role, d.reason = RolePrimary, "mode aggregate"
		}
	case ModeHandover:
		place := ls.place(l)
		d.cost = min(place, 255)
		if place > 0 && rankOf(d.role) < rankOf(RoleBackup) {
			d.role, d.reason = RoleBackup, "mode handover: one path at a time"
		}
	}
	return d
}

// place is how many lines come before l where one is used at a time: those with a
// better role, the cheaper ones of the same, and then those that stand before it. mu
// is held.
func (ls *lines) place(l *line) (n int) {
	after := false // l has been seen
	for _, o := range ls.list {
		if o == l {
			after = true
			continue
		}
		order := cmp.Or(cmp.Compare(rankOf(o.Role), rankOf(l.Role)), cmp.Compare(o.Cost, l.Cost))
		if order < 0 || order == 0 && !after {
			n++
		}
	}
	return n
}

// duty is dutyOf for those who do not hold mu.
func (ls *lines) duty(l *line) duty {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.dutyOf(l)
}

// set changes what the path called name is for. Whoever uses the lines hears of it
// as of a change of the interfaces, when told to refresh.
func (ls *lines) set(name string, c PathChange) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("path %s: %w", name, err)
	}
	if ls.twin != nil {
		_ = ls.twin.set(name, c) // it may not have looked for its lines yet
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.list {
		if l.Name != name {
			continue
		}
		if c.Role != nil {
			l.hand.role = *c.Role
		}
		if c.Enabled != nil {
			l.hand.off = !*c.Enabled
		}
		if c.RateLimit != nil {
			l.hand.rate = c.RateLimit
		}
		return nil
	}
	return fmt.Errorf("path %s: %w", name, ErrNoPath)
}

// cap makes paths backups whose caps are reached, and what they were where these
// begin anew: reasons has why, by the path's name. It reports whether that is news.
func (ls *lines) cap(reasons map[string]string) (news bool) {
	if ls.twin != nil {
		_ = ls.twin.cap(reasons)
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.list {
		if why := reasons[l.Name]; why != l.capped {
			l.capped, news = why, true
		}
	}
	return news
}

// reassigned reports whether the line's duty is another than when this was asked
// last. mu is held.
func (ls *lines) reassigned(l *line) bool {
	now := ls.dutyOf(l)
	before, asked := l.duty, l.duty.role != ""
	l.duty = now
	if !asked || before == now {
		return false
	}
	if before.role != now.role {
		ls.log.Info("path role", "path", l.Name, "role", now.role, "from", before.role, "reason", now.why())
	}
	return before.role != now.role
}

// why is the duty's reason in words.
func (d duty) why() string {
	if d.reason == "" {
		return "as configured"
	}
	return d.reason
}

// limited adds the limit that slows a path down to the reason for its state.
func (d duty) limited(reason string) string {
	if d.rate == 0 {
		return reason
	}
	by := "by its rate_limit"
	if d.byHand {
		by = "by hand"
	}
	text := fmt.Sprintf("limited to %s %s", units.Rate(float64(d.rate)), by)
	if reason != "" {
		text = reason + "; " + text
	}
	return text
}

// terms are the duty's as a session has them.
func (d duty) terms() mptcp.Terms {
	return mptcp.Terms{Cost: uint8(d.cost), RateLimit: uint64(d.rate) / 8}
}

package upstream

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mpsocks/mpsocks/mptcp"
)

// resolveTime bounds the look-up of the egress's name for discovery. Without an
// answer the last one counts.
const resolveTime = 2 * time.Second

// A line is a path as the client knows it: what is configured, whether this
// machine can use it now, and how the last connection over it went.
type line struct {
	PathConfig
	dialer *pathDialer

	rx, tx atomic.Uint64 // bytes of the "tcp" transport's streams

	// Guarded by lines.mu.
	absent error  // why it cannot be used now, or nil
	lost   bool   // discovered once, and not found any more
	netif  *netif // the interface it depends on, as last seen
	tried  bool
	err    error     // of the last dial, or nil
	when   time.Time // of the last dial's end
	local  string    // of the last connection
	remote string
	leaves netip.Addr // from where the system would connect to remote now, if that is left to it
	hand   byHand     // what was changed while the client runs
	capped string     // why it is no more than a backup; empty: it is what it is for
	duty   duty       // as it was acted upon last
}

// outlived reports whether a connection of the line from the given local address
// has lost it: the system would let it wait for its end for minutes.
func (ls *lines) outlived(l *line, local string) bool {
	a, err := netip.ParseAddrPort(local)
	if err != nil || l.Source.IsValid() { // a source that goes takes the line along
		return false
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return len(ls.last) > 0 && ls.last.owner(a.Addr()) == nil
}

// lines are the paths of a client. They change when the interfaces do.
type lines struct {
	egress []string
	others []netip.Prefix // where instances of the egress may be, besides
	tls    *tls.Config
	lowat  int
	mptcp  bool // the kernel's
	mode   string
	twin   *lines // the same lines of another transport, which are to be for the same; nil: none
	names  resolver
	read   func() (netifs, error)
	route  func(remote netip.AddrPort) netip.Addr
	log    *slog.Logger

	looked chan struct{} // closed after the first refresh
	once   sync.Once

	mu      sync.Mutex
	auto    bool // the list is what is discovered
	slept   bool // since the last refresh: connections may be dead although nothing has changed
	list    []*line
	dropped []change     // what the configuration has taken away since the last refresh
	last    netifs       // the last picture
	known   []netip.Addr // the egress's addresses, for discovery
	cause   error        // why the interfaces could not be read
}

func newLines(cfg *ClientConfig, t *tls.Config, lowat int) *lines {
	ls := &lines{
		auto: cfg.Paths == nil, egress: cfg.Egress, others: cfg.Instances, tls: t, lowat: lowat, mptcp: cfg.Transport == TransportKernel, mode: cfg.Mode,
		names: cfg.names, read: cfg.netifs, route: cfg.route, log: cfg.Logger,
		looked: make(chan struct{}),
	}
	for i, p := range cfg.Paths {
		ls.list = append(ls.list, ls.newLine(p.withDefaults(), i))
	}
	return ls
}

func (ls *lines) newLine(p PathConfig, number int) *line {
	egress := p.Egress
	if len(egress) == 0 {
		egress = ls.egress
	}
	return &line{PathConfig: p, dialer: &pathDialer{
		path: p, number: number, egress: egress, others: ls.others, tls: ls.tls, names: ls.names, netifs: ls.picture, lowat: ls.lowat, mptcp: ls.mptcp,
	}}
}

// picture returns the last picture of the interfaces. The watch sees to it that
// it is fresh; dialling many streams need not ask the system for each.
func (ls *lines) picture() (netifs, error) {
	ls.mu.Lock()
	last := ls.last
	ls.mu.Unlock()
	if last != nil {
		return last, nil
	}
	return ls.read()
}

// A change is what a new picture of the interfaces means for one line.
type change struct {
	*line
	what changeKind
}

type changeKind int

const (
	lineAdded    changeKind = iota // it can be used now
	lineRemoved                    // it cannot be used any more
	lineMoved                      // its interface has changed
	lineAssigned                   // its role has
)

// refresh takes a new picture of the interfaces and returns what has changed
// since the last.
func (ls *lines) refresh(ctx context.Context) (changes []change) {
	defer ls.once.Do(func() { close(ls.looked) })
	all, err := ls.read()
	var found []PathConfig
	ls.mu.Lock()
	auto := ls.auto
	ls.mu.Unlock()
	leaves := ls.leave()
	if err == nil && auto {
		found = discover(all, ls.resolve(ctx))
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	changes = ls.dropped
	ls.dropped = nil
	if ls.auto != auto { // meanwhile; whoever did that has us called again
		return changes
	}
	if ls.cause = err; err != nil {
		ls.log.Warn("interfaces unknown", "err", err)
		if !ls.auto || len(ls.list) > 0 {
			return changes
		}
		found = []PathConfig{PathConfig{}.withDefaults()}
	}
	news := !ls.last.same(all)
	ls.last = all
	slept := ls.slept
	ls.slept = false
	if ls.auto {
		changes = append(changes, ls.replace(found)...)
	}
	for _, l := range ls.list {
		if c, ok := l.look(all, news || ls.rerouted(l, leaves)); ok {
			changes = append(changes, c)
		} else if slept && l.absent == nil {
			changes = append(changes, change{l, lineMoved})
		}
		if ls.reassigned(l) {
			changes = append(changes, change{l, lineAssigned})
		}
	}
	for _, c := range changes {
		ls.tell(c)
	}
	return changes
}

// wake has the next refresh find all lines changed: the machine has slept.
func (ls *lines) wake() {
	for ; ls != nil; ls = ls.twin {
		ls.mu.Lock()
		ls.slept = true
		ls.mu.Unlock()
	}
}

// resolve returns the addresses of the egress for discovery.
func (ls *lines) resolve(ctx context.Context) []netip.Addr {
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	found, err := resolveAll(ctx, ls.names, ls.egress)
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if err == nil {
		ls.known = ls.known[:0:0]
		for _, a := range found {
			ls.known = append(ls.known, a.Addr())
		}
	}
	return ls.known
}

// replace makes the list hold the discovered paths. mu is held.
func (ls *lines) replace(found []PathConfig) (removed []change) {
	kept := ls.list[:0:0]
	for _, l := range ls.list {
		if l.lost = false; slices.ContainsFunc(found, func(p PathConfig) bool { return p.Name == l.Name }) {
			kept = append(kept, l)
		} else if l.Interface != "" && len(kept) < maxPaths {
			l.lost = true
			kept = append(kept, l) // it carries nothing now, and people want to know why
			continue
		} else if l.absent == nil {
			removed = append(removed, change{l, lineRemoved})
		}
	}
	for _, p := range found {
		if !slices.ContainsFunc(kept, func(l *line) bool { return l.Name == p.Name }) {
			l := ls.newLine(p, ls.freeNumber(kept))
			l.absent = errNotSeen
			kept = append(kept, l)
		}
	}
	ls.list = kept
	return removed
}

// freeNumber returns the lowest number that no line in use has. mu is held.
func (ls *lines) freeNumber(list []*line) int {
	for n := 0; ; n++ {
		if !slices.ContainsFunc(list, func(l *line) bool { return l.dialer.number == n && !l.lost }) {
			return n
		}
	}
}

// errNotSeen is the state of a line before the first look at it.
var errNotSeen = errors.New("not looked at yet")

// free says that the system chooses the interface and the source address.
func (l *line) free() bool { return l.Interface == "" && !l.Source.IsValid() }

// leave asks the system from where it would connect to the egress on the lines that leave that to it.
func (ls *lines) leave() map[*line]netip.Addr {
	ls.mu.Lock()
	remotes := make(map[*line]netip.AddrPort)
	for _, l := range ls.list {
		if a, err := netip.ParseAddrPort(l.remote); err == nil && l.free() {
			remotes[l] = a
		}
	}
	ls.mu.Unlock()
	leaves := make(map[*line]netip.Addr)
	for l, remote := range remotes {
		leaves[l] = ls.route(remote)
	}
	return leaves
}

// systemRoute returns the source address that the system would choose for a connection, or none if no route leads there. No packet is sent.
func systemRoute(remote netip.AddrPort) netip.Addr {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(remote))
	if err != nil {
		return netip.Addr{}
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}

// rerouted notes from where the system would connect now, and says whether that has changed. mu is held.
func (ls *lines) rerouted(l *line, leaves map[*line]netip.Addr) bool {
	a, known := leaves[l]
	before := l.leaves
	if !known || a == before {
		return false
	}
	l.leaves = a
	return before.IsValid() || a != localAddr(l.local)
}

// leads reports whether a connection of the line from the given local address goes where the system would have one go now.
func (ls *lines) leads(l *line, local string) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return !l.free() || !l.leaves.IsValid() || localAddr(local) == l.leaves
}

// localAddr is the address of a socket, invalid if unknown.
func localAddr(local string) netip.Addr {
	a, _ := netip.ParseAddrPort(local) // none is as good as unknown
	return a.Addr().Unmap()
}

// look compares the line with the picture; news says that the picture is not
// the last one. mu is held.
func (l *line) look(all netifs, news bool) (change, bool) {
	before, seen := l.absent, l.netif
	l.absent, l.netif = l.ready(all), l.relevant(all)
	if l.lost && l.absent == nil {
		l.absent = ErrNoRoute
	}
	switch {
	case before != nil && l.absent == nil:
		return change{l, lineAdded}, true
	case before == nil && l.absent != nil:
		return change{l, lineRemoved}, true
	case l.absent == nil && (l.free() && news || !l.netif.same(seen)):
		return change{l, lineMoved}, true
	}
	return change{}, false
}

// tell logs a change. mu is held.
func (ls *lines) tell(c change) {
	switch c.what {
	case lineAdded:
		ls.log.Info("path found", "path", c.Name, "role", ls.dutyOf(c.line).role)
	case lineRemoved:
		cause := c.absent
		if cause == nil {
			cause = ErrNoRoute
		}
		ls.log.Warn("path gone", "path", c.Name, "reason", cause)
	case lineMoved:
		ls.log.Debug("path changed", "path", c.Name)
	}
}

// all returns the lines, used or not.
func (ls *lines) all() []*line {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return slices.Clone(ls.list)
}

// usable returns the lines that can be used now, in the order of the
// configuration.
func (ls *lines) usable() []*line {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(ls.list), func(l *line) bool { return l.absent != nil })
}

// dial connects over one line and notes how it went.
func (ls *lines) dial(ctx context.Context, l *line) (*carrier, error) {
	return ls.noting(l, func() (*carrier, error) { return l.dialer.dial(ctx) })
}

// dialAt is dial to addresses that the egress has announced.
func (ls *lines) dialAt(ctx context.Context, l *line, announced []netip.AddrPort) (*carrier, error) {
	return ls.noting(l, func() (*carrier, error) { return l.dialer.dialAt(ctx, announced) })
}

func (ls *lines) noting(l *line, dial func() (*carrier, error)) (*carrier, error) {
	c, err := dial()
	if err != nil {
		ls.failed(l, err)
		return nil, err
	}
	ls.worked(l, c.tcp.LocalAddr(), c.tcp.RemoteAddr())
	return c, nil
}

// failed notes that a dial over the line did not work.
func (ls *lines) failed(l *line, err error) {
	if errors.Is(err, context.Canceled) {
		return // another one was quicker; that says nothing
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.tried, l.err, l.when = true, err, time.Now()
}

// worked notes that a dial over the line did.
func (ls *lines) worked(l *line, local, remote net.Addr) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.tried, l.err, l.when = true, nil, time.Now()
	l.local, l.remote = local.String(), remote.String()
}

var roleRanks = map[string]int{RolePrimary: 0, RoleSecondary: 1, RoleBackup: 2, RoleNever: 3}

func rankOf(role string) int { return roleRanks[role] }

// ranked returns the usable lines, best first: by role, then as configured.
func (ls *lines) ranked() []*line {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	rank := func(l *line) int { d := ls.dutyOf(l); return rankOf(d.role)<<8 + d.cost }
	list := slices.DeleteFunc(slices.Clone(ls.list), func(l *line) bool { return l.absent != nil || ls.dutyOf(l).role == RoleNever })
	slices.SortStableFunc(list, func(a, b *line) int { return rank(a) - rank(b) })
	return list
}

// order is ranked with those that failed a moment ago at the end.
func (ls *lines) order(now time.Time) []*line {
	list := ls.ranked()
	ls.mu.Lock()
	defer ls.mu.Unlock()
	place := func(l *line) int {
		if l.failing(now) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(list, func(a, b *line) int { return place(a) - place(b) })
	return list
}

// works reports whether the line can be used and did not fail a moment ago.
func (ls *lines) works(l *line, now time.Time) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return l.absent == nil && !l.failing(now) && ls.dutyOf(l).role != RoleNever
}

// failing reports whether the line failed a moment ago. lines.mu is held.
func (l *line) failing(now time.Time) bool { return l.err != nil && now.Sub(l.when) < lineRest }

// lineRest is how long a path that failed stands behind those that did not, for
// transports that use one at a time.
const lineRest = 10 * time.Second

// unreachable is the error of a dial for which no line worked.
func (ls *lines) unreachable(cause error) error {
	kind := ErrEgressDown
	if ls.noRoute() {
		kind = ErrNoRoute
	}
	if cause == nil {
		cause = ls.why()
	}
	if errors.Is(cause, kind) {
		return fmt.Errorf("dial egress: %w", cause)
	}
	return fmt.Errorf("dial egress: %w: %w", kind, cause)
}

// noRoute reports whether no line leads anywhere: the fault is this machine's,
// not the egress's.
func (ls *lines) noRoute() bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.list {
		if ls.dutyOf(l).role != RoleNever && l.absent == nil && !errors.Is(l.err, ErrNoRoute) {
			return false
		}
	}
	return true
}

// why explains, for people, why no line works.
func (ls *lines) why() error {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	var causes attempts
	for _, l := range ls.list {
		if err := cmp.Or(l.absent, l.err); err != nil && ls.dutyOf(l).role != RoleNever {
			causes = append(causes, onPath(l.Name, err))
		}
	}
	if len(causes) == 0 {
		return cmp.Or(ls.cause, errNoAnswer)
	}
	return causes.err()
}

var errNoAnswer = errors.New("no answer yet")

// onPath is what went wrong on one path.
func onPath(path string, err error) error { return &mptcp.PathError{Path: path, Err: err} }

// leavesBy is the interface of a line that has that local address, or ""; the system chooses one for a line that names none.
func (ls *lines) leavesBy(l *line, local string) string {
	if l.Interface != "" {
		return l.Interface
	}
	ip := l.Source
	if a, err := netip.ParseAddrPort(local); err == nil {
		ip = a.Addr()
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if n := ls.last.owner(ip); n != nil {
		return n.name
	}
	return ""
}

// status describes the line by itself, for when no session knows it.
func (ls *lines) status(l *line) PathStatus {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	d := ls.dutyOf(l)
	st := PathStatus{Name: l.Name, Role: d.role, RoleReason: d.reason, Cost: d.cost, RateLimit: d.rate, Local: l.local, Remote: l.remote}
	switch {
	case d.role == RoleNever:
		st.State, st.Reason = stateStandby, cmp.Or(d.reason, "role never")
	case l.absent != nil:
		st.State, st.Reason = stateDown, l.absent.Error()
	case l.err != nil:
		st.State, st.Reason = stateDown, l.err.Error()
	case l.tried:
		st.State, st.Reason = stateUp, "answers"
	default:
		st.State, st.Reason = stateNew, "not tried yet"
	}
	if st.Local == "" && l.Source.IsValid() {
		st.Local = l.Source.String()
	}
	return st
}

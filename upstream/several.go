package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxEgresses bounds the list: a session is kept with each of them.
	maxEgresses = 8
	// assessEvery is how often egresses are looked at while no stream is opened.
	assessEvery = time.Second
	// recheckEvery is how often an egress that failed is tried by transports that have no
	// session to show that it is back.
	recheckEvery = 5 * time.Second
	// slowStart is how long a new stream waits for an egress, before the next one is tried
	// beside it, by transports that may have to connect for it.
	slowStart = 800 * time.Millisecond
)

// AnotherEgress can take the place of that of ClientConfig.Egress. Egresses know nothing
// of each other: a stream stays with the one that it was opened on.
type AnotherEgress struct {
	Name      string // for logs and status; default: its first address
	Egress    []string
	EgressKey PublicKey
	Instances []netip.Prefix
	Identity  Identity // default: ClientConfig.Identity
}

// several is a transport over several egresses, each by a transport of its own that keeps
// connected: health is seen without asking, and a stream that goes elsewhere need not wait
// for handshakes.
type several struct {
	cfg  *ClientConfig
	ways []*way
	log  *slog.Logger
	lead time.Duration // that an egress has at least over the next one when a stream is opened

	mu     sync.Mutex
	choice choice
}

// way is one of the egresses.
type way struct {
	transport
	name    string
	cfg     ClientConfig
	changed chan struct{}
	carried sums
	rest    time.Time // before which it is not tried again by way of a check
}

// session is what only some transports have.
type sessionWay interface {
	transport
	dialOn(ctx context.Context, p StreamPaths) (net.Conn, error)
	health(now time.Time) standing
	// confirm reports whether the egress answers.
	confirm(ctx context.Context) bool
	// leave has new streams wait for another session, and those of this one be reset when
	// the egress stays silent although another one answers.
	leave()
}

func newSeveral(cfg *ClientConfig) (*several, error) {
	t := &several{cfg: cfg, log: cfg.Logger, lead: slowStart}
	if cfg.Transport == TransportMPTCP {
		t.lead = silentAfter
	}
	var names []string
	for i, one := range cfg.Each() {
		w := &way{name: one.EgressName, cfg: one, changed: make(chan struct{}, 1)}
		w.cfg.Logger = cfg.Logger.With("egress", w.name)
		w.cfg.account = w.carried.count
		w.cfg.Fallback = FallbackNone // what an egress without sessions does not carry, the next one does
		var err error
		if w.transport, err = newTransport(&w.cfg); err != nil {
			return nil, fmt.Errorf("egress %s: %w", w.name, err)
		}
		if m, ok := w.transport.(*multipath); ok {
			m.standIn = func(ctx context.Context) bool { return t.another(ctx, i) }
		}
		if i > 0 { // what is done by hand to the paths of one holds for all
			last := t.ways[i-1].paths()
			for last.twin != nil {
				last = last.twin
			}
			last.twin = w.paths()
		}
		t.ways, names = append(t.ways, w), append(names, w.name)
	}
	t.choice = newChoice(cfg.Choose, names, time.Now())
	return t, nil
}

// Each returns the configuration of a client of each of the egresses alone, all of which have a name.
func (cfg ClientConfig) Each() (all []ClientConfig) {
	for i, e := range append([]AnotherEgress{{cfg.EgressName, cfg.Egress, cfg.EgressKey, cfg.Instances, cfg.Identity}}, cfg.Others...) {
		one := cfg
		one.Others, one.EgressName, one.Egress, one.EgressKey, one.Instances = nil, e.name(), e.Egress, e.EgressKey, e.Instances
		if i > 0 {
			one.pin = newPin(e.EgressKey)
		}
		if !e.Identity.IsZero() {
			one.Identity = e.Identity
		}
		all = append(all, one)
	}
	return all
}

func (e AnotherEgress) name() string {
	if e.Name == "" && len(e.Egress) > 0 {
		return e.Egress[0]
	}
	return e.Name
}

// checkOthers says what is wrong with the list.
func (cfg ClientConfig) checkOthers() error {
	switch {
	case len(cfg.Others) == 0:
		return nil
	case cfg.PinFile != "":
		return errors.New("other egresses: with several each needs its key, which cannot be learned")
	case cfg.Plain:
		return errors.New("other egresses: not possible beside a SOCKS5 server of others")
	case len(cfg.Others) >= maxEgresses:
		return fmt.Errorf("other egresses: %d of them, more than %d", len(cfg.Others), maxEgresses-1)
	case len(cfg.Egress) == 0:
		return errors.New("egress: no address; with several egresses each needs its own")
	}
	for _, p := range cfg.Paths {
		if len(p.Egress) > 0 {
			return fmt.Errorf("path %s: egress: a path's own addresses are those of one egress, and there are several", p.Name)
		}
	}
	seen := map[string]bool{AnotherEgress{Name: cfg.EgressName, Egress: cfg.Egress}.name(): true}
	for _, e := range cfg.Others {
		switch {
		case len(e.Egress) == 0:
			return fmt.Errorf("egress %s: no address", e.Name)
		case e.EgressKey.IsZero():
			return fmt.Errorf("egress %s: key: not set", e.name())
		case seen[e.name()]:
			return fmt.Errorf("egress %s: is there twice", e.name())
		}
		seen[e.name()] = true
		for _, a := range e.Egress {
			if err := checkHostPort(a); err != nil {
				return fmt.Errorf("egress %s: %w", e.name(), err)
			}
		}
	}
	return nil
}

// paths are those by way of the first egress; what is changed there, the others follow.
func (t *several) paths() *lines { return t.ways[0].paths() }

func (t *several) run(ctx context.Context, changed <-chan struct{}) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, w := range t.ways {
		wg.Go(func() { w.run(ctx, w.changed) })
	}
	wg.Go(func() { t.watch(ctx) })
	for {
		select {
		case <-changed:
			for _, w := range t.ways {
				tell(w.changed)
			}
		case <-ctx.Done():
			return
		}
	}
}

// watch looks after the egresses while no stream is opened.
func (t *several) watch(ctx context.Context) {
	tick := time.NewTicker(assessEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			t.assess()
			t.leaveDead(ctx)
			t.recheck(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// leadTrips is how many round trips to the egress that is tried first the others wait: what
// connecting takes.
const leadTrips = 4

// assess takes in how all egresses do, and says in which order a stream tries them, and how
// long the first has the field to itself.
func (t *several) assess() (order []int, lead time.Duration) {
	now := time.Now()
	found := make([]standing, len(t.ways))
	for i, w := range t.ways {
		found[i] = w.standing(now)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, s := range found {
		if now.Before(t.ways[i].rest) && s.up {
			continue // it says so of itself, but a stream has shown otherwise
		}
		t.choice.observe(i, s, now)
	}
	t.decide(now)
	order = t.choice.order()
	return order, max(t.lead, leadTrips*t.choice.list[order[0]].rtt)
}

// decide moves on if there is a reason, and says so. mu is held.
func (t *several) decide(now time.Time) {
	before := t.choice.current
	if !t.choice.decide(now) {
		return
	}
	words := []any{"egress", t.ways[t.choice.current].name, "reason", t.choice.why}
	if before < 0 {
		t.log.Info("egress chosen", words...)
		return
	}
	t.log.Warn("another egress", append(words, "from", t.ways[before].name)...)
}

// standing is how the way does, as far as it can tell without asking.
func (w *way) standing(now time.Time) standing {
	if m, ok := w.transport.(sessionWay); ok {
		return m.health(now)
	}
	st := w.status()
	s := standing{up: st.Session.State == stateUp, reason: st.Session.Reason}
	for _, p := range st.Paths {
		if rtt := time.Duration(p.RTTms * float64(time.Millisecond)); p.State == stateUp && rtt > 0 && (s.rtt == 0 || rtt < s.rtt) {
			s.rtt = rtt
		}
	}
	if s.reason == "" && !s.up {
		s.reason = st.Session.State
	}
	return s
}

// leaveDead gives up sessions with egresses that are silent, if another one answers: what
// is open there is reset after deadAfter. While none answers it is this machine that is cut
// off, and everything waits.
func (t *several) leaveDead(ctx context.Context) {
	for i, w := range t.ways {
		if m, ok := w.transport.(sessionWay); ok && isSilent(m) && t.another(ctx, i) {
			m.leave()
		}
	}
}

// isSilent reports whether there is a session that does not answer.
func isSilent(m sessionWay) bool {
	s := m.health(time.Now())
	return s.held && !s.up
}

// another reports whether an egress other than i answers now.
func (t *several) another(ctx context.Context, i int) bool {
	ctx, cancel := context.WithTimeout(ctx, assessEvery)
	defer cancel()
	answers := make(chan bool, len(t.ways))
	for j, w := range t.ways {
		m, ok := w.transport.(sessionWay)
		go func() { answers <- j != i && ok && m.confirm(ctx) }()
	}
	any := false
	for range t.ways {
		if <-answers {
			any = true
			cancel()
		}
	}
	return any
}

// recheck opens a stream with those that failed by transports that would not try again
// without one, and ends it at once.
func (t *several) recheck(ctx context.Context) {
	for i, w := range t.ways {
		if _, ok := w.transport.(sessionWay); ok {
			continue
		}
		t.mu.Lock()
		due := !t.choice.list[i].up && time.Now().After(w.rest)
		t.mu.Unlock()
		if !due {
			continue
		}
		try, cancel := context.WithTimeout(ctx, t.cfg.DialWait)
		c, err := w.dial(try)
		cancel()
		now := time.Now()
		t.mu.Lock()
		if err != nil {
			t.choice.observe(i, standing{reason: err.Error()}, now)
			w.rest = now.Add(recheckEvery)
		} else {
			abortStream(c)
			t.choice.observe(i, standing{up: true}, now)
		}
		t.mu.Unlock()
	}
}

func abortStream(c net.Conn) {
	if r, ok := c.(interface{ Reset() error }); ok {
		_ = r.Reset()
		return
	}
	_ = c.Close()
}

func (t *several) dial(ctx context.Context) (net.Conn, error) {
	return t.open(ctx, func(ctx context.Context, w *way) (net.Conn, error) { return w.dial(ctx) })
}

// dialOn is dial for a stream that takes only some paths.
func (t *several) dialOn(ctx context.Context, p StreamPaths) (net.Conn, error) {
	return t.open(ctx, func(ctx context.Context, w *way) (net.Conn, error) {
		m, ok := w.transport.(sessionWay)
		if !ok {
			return nil, fmt.Errorf("dial egress: %w: transport %s", ErrNoPathChoice, t.cfg.Transport)
		}
		return m.dialOn(ctx, p)
	})
}

// opened is a stream, and whose.
type opened struct {
	conn net.Conn
	turn int // in the order of trying
}

// open opens a stream with the first egress that lets it. One that needs longer than lead
// has the next tried beside it.
func (t *several) open(ctx context.Context, dial func(context.Context, *way) (net.Conn, error)) (net.Conn, error) {
	order, lead := t.assess()
	failed := make([]error, len(order)) // each written by its try
	got, err := race(ctx, len(order), lead, func(ctx context.Context, turn int) (opened, error) {
		w := t.ways[order[turn]]
		c, err := dial(ctx, w)
		if err != nil {
			if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
				failed[turn] = err
			}
			return opened{}, fmt.Errorf("egress %s: %w", w.name, err)
		}
		return opened{c, turn}, nil
	}, func(o opened) { abortStream(o.conn) })
	if err != nil {
		return nil, err
	}
	if got.turn > 0 {
		t.overtaken(order[:got.turn], failed, lead)
	}
	return got.conn, nil
}

// overtaken notes that streams could not be opened with these egresses, but with another.
func (t *several) overtaken(turns []int, failed []error, lead time.Duration) {
	now := time.Now()
	t.mu.Lock()
	if t.choice.current < 0 { // they may only need longer to start
		t.mu.Unlock()
		return
	}
	for turn, i := range turns {
		s := standing{reason: fmt.Sprintf("no answer within %v", lead.Round(time.Millisecond))}
		if failed[turn] != nil {
			s.reason = failed[turn].Error()
		}
		t.choice.observe(i, s, now)
		t.ways[i].rest = now.Add(recheckEvery)
	}
	t.decide(now)
	t.mu.Unlock()
	for _, i := range turns {
		if m, ok := t.ways[i].transport.(sessionWay); ok && isSilent(m) {
			m.leave()
		}
	}
}

// status is that of the egress in use, with what paths have carried for all of them.
func (t *several) status() Status {
	all := make([]Status, len(t.ways))
	for i, w := range t.ways {
		all[i] = w.status()
		w.carried.count(all[i].Paths)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := max(t.choice.current, 0)
	st := all[now]
	for i := range st.Paths {
		p := &st.Paths[i]
		p.TxBytes, p.RxBytes, p.packets = 0, 0, 0
		for _, w := range t.ways {
			w.carried.addTo(p)
		}
	}
	for i, x := range t.choice.list {
		e := EgressStatus{Name: x.name, State: stateDown, Reason: x.reason, InUse: i == t.choice.current, RTTms: milliseconds(x.rtt), Streams: all[i].Session.Streams, Since: x.since}
		if x.up {
			e.State, e.Reason = stateUp, ""
		}
		if e.InUse {
			e.Chosen = t.choice.why
		}
		st.Egresses = append(st.Egresses, e)
	}
	st.EgressChanges = t.choice.changes
	return st
}

// sums adds up what paths have carried by way of one egress, whose counters begin anew with
// each session.
type sums struct {
	mu    sync.Mutex
	paths map[string]*[3]struct{ seen, sum uint64 }
}

// count takes the counters in. They stay as they are.
func (s *sums) count(paths []PathStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.paths == nil {
		s.paths = make(map[string]*[3]struct{ seen, sum uint64 })
	}
	for _, p := range paths {
		x := s.paths[p.Name]
		if x == nil {
			if len(s.paths) >= maxTallied {
				continue
			}
			x = new([3]struct{ seen, sum uint64 })
			s.paths[p.Name] = x
		}
		for i, raw := range []uint64{p.TxBytes, p.RxBytes, p.packets} {
			if raw < x[i].seen {
				x[i].seen = 0
			}
			x[i].sum += raw - x[i].seen
			x[i].seen = raw
		}
	}
}

// addTo adds what the path has carried.
func (s *sums) addTo(p *PathStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.paths[p.Name]; x != nil {
		p.TxBytes, p.RxBytes, p.packets = p.TxBytes+x[0].sum, p.RxBytes+x[1].sum, p.packets+x[2].sum
	}
}

package mptcp

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
	"github.com/mpsocks/mpsocks/mptcp/pathman"
)

const (
	// forGood is the wait of a path that is as it should be: until it is poked.
	forGood = 24 * time.Hour
	// firmDoubt is how long a suspicion must last before the path counts as not working for the path policy: most suspicions are over by then, and a
	// path that costs money should not be connected for them.
	firmDoubt = 250 * time.Millisecond
	// firstChance is how long a new path counts as working for the policy although it is not up yet.
	firstChance = time.Second
	// kickFresh is how long a silence counts as the consequence of what happened to the interface.
	kickFresh = 5 * time.Second
	// spareTime is how long a subflow that the policy does not want any more is kept: what works again may fail again.
	spareTime = 10 * time.Second
)

// keep dials the path whenever it should have a subflow and has none.
func (p *path) keep() {
	defer p.s.wg.Done()
	timer := time.NewTimer(forGood)
	defer timer.Stop()
	for {
		wait, try, done := p.next()
		switch {
		case done:
			return
		case try > 0:
			p.attempt(try)
			continue
		}
		timer.Reset(wait)
		select {
		case <-p.wake:
		case <-timer.C:
		case <-p.s.ctx.Done():
			return
		}
	}
}

// next says what to do: wait, or try for at most so long.
func (p *path) next() (wait, try time.Duration, done bool) {
	s := p.s
	s.mu.Lock()
	defer s.unlock()
	if p.removed || s.ended || s.ctx.Err() != nil {
		return 0, 0, true
	}
	now := s.now()
	switch wanted := p.wanted(now); {
	case p.sub != nil && wanted && !p.again:
		p.spare = 0
		return forGood, 0, false
	case p.sub != nil && !wanted:
		return p.spared(now), 0, false
	case !wanted:
		return s.nextView(now), 0, false
	}
	if due, ok := s.startDue(p); !ok {
		return forGood, 0, false
	} else if now < due {
		return due - now, 0, false
	}
	if due := p.redial.Due(); now < due {
		return due - now, 0, false
	}
	rtt := time.Duration(0)
	if p.sub != nil {
		rtt = p.sub.core.MinRTT()
	}
	return 0, p.redial.Try(rtt), false
}

// spared ends a subflow that has not been wanted for long enough, or says how long to wait for that. mu is held.
func (p *path) spared(now proto.Instant) time.Duration {
	if p.spare == 0 {
		p.spare = now
	}
	if left := p.spare + spareTime - now; left > 0 {
		return min(left, p.s.nextView(now))
	}
	p.spare = 0
	p.drop(errSpare)
	return p.s.nextView(now)
}

// wanted asks the path policy. mu is held.
func (p *path) wanted(now proto.Instant) bool {
	views := make([]pathman.View, len(p.s.paths))
	self := -1
	for i, x := range p.s.paths {
		views[i] = pathman.View{Role: x.Role, State: x.state()}
		if now < x.chance() {
			views[i].State = pathman.Up
		}
		if x == p {
			self = i
		}
	}
	return self >= 0 && p.s.cfg.pathPolicy().Want(self, views)
}

// chance is until when the path counts as working for the policy although it does not. mu is held.
func (p *path) chance() proto.Instant {
	switch {
	case p.sub != nil && p.sub.doubted != 0:
		return p.sub.doubted + firmDoubt
	case p.sub == nil && !p.proven && p.err == nil:
		return p.added + firstChance
	default:
		return 0
	}
}

// nextView is how long what the policy sees stays as it is unless something happens. mu is held.
func (s *Session) nextView(now proto.Instant) time.Duration {
	wait := forGood
	for _, p := range s.paths {
		if at := p.chance(); now < at {
			wait = min(wait, at-now)
		}
	}
	return wait
}

// errNoCarrier is for a Dial that is not one.
var errNoCarrier = errors.New("the path's Dial returned neither a connection nor an error")

// attempt dials once and makes what comes of it a subflow.
func (p *path) attempt(try time.Duration) {
	s := p.s
	ctx, cancel := withPatience(s.ctx, try)
	defer cancel()
	knock, ok := p.begin(cancel)
	if !ok {
		return
	}
	ctx = withKnock(ctx, knock)
	c, announced, err := p.connect(ctx)
	if c == nil && err == nil {
		err = errNoCarrier
	}
	if err == nil {
		err = p.enlist(ctx, c, announced)
	}
	s.mu.Lock()
	p.dialing = nil
	if err != nil {
		p.failed(overdue(ctx, err))
	}
	s.unlock()
	select {
	case s.attempted <- struct{}{}:
	default:
	}
}

// begin notes the attempt under way, unless it is too late for one, and returns how often it is to ask to connect.
func (p *path) begin(abort context.CancelFunc) (knock time.Duration, ok bool) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if p.removed || p.Role == RoleNever {
		return 0, false
	}
	p.dialing, p.aborted, p.tried = abort, false, p.s.now()
	if p.began == 0 {
		p.began = p.s.now()
		p.s.pokeAll() // the next one's turn depends on it
	}
	if p.sub == nil {
		p.since = time.Now()
	}
	return p.redial.Knock(p.s.now(), p.trip, p.s.core != nil && !p.s.answers()), true
}

// enlist makes the carrier c a subflow.
func (p *path) enlist(ctx context.Context, c *Carrier, announced bool) error {
	sf := newSubflow(c)
	sf.path, sf.announced = p, announced
	ctx, cancel := context.WithTimeout(ctx, sf.handshakeTime(p.s.cfg.HandshakeTimeout))
	defer cancel()
	err := p.s.enlist(ctx, sf)
	if err != nil && sf.s == nil {
		sf.close()
	}
	return err
}

// failed notes a failed attempt. mu is held.
func (p *path) failed(err error) {
	s := p.s
	if s.ended || s.ctx.Err() != nil {
		return
	}
	if p.aborted || errors.Is(err, errLostRace) {
		p.redial.Kick(s.now())
		return
	}
	if p.err == nil || p.err.Error() != err.Error() {
		level := slog.LevelInfo
		if s.core == nil {
			level = slog.LevelDebug // whoever dials the session tells what became of it
		}
		s.note(level, "path down", "session", s.id, "path", p.Name, "reason", err)
	}
	p.err, p.since = err, time.Now()
	if !errors.Is(err, ErrUnknownSession) { // whoever says so has been reached
		s.cfg.History.failed(p.Name)
	}
	if p.redial.Failed(s.now(), s.now()-p.tried, !s.answers(), rand.Float64()); errors.Is(err, ErrAltered) {
		p.quarantine(err)
	}
	if errors.Is(err, ErrUnknownSession) && !s.answers() {
		s.core.End(s.now(), ErrUnknownSession, false)
		s.drain()
	}
	s.pokeAll()
}

// joined notes the path's new subflow; one it had before is ended. mu is held.
func (p *path) joined(sf *subflow) {
	old := p.sub
	p.sub, p.again, p.proven, p.err, p.since = sf, false, true, nil, time.Now()
	p.agree(sf)
	p.redial.Joined(p.s.now())
	if old != nil {
		old.end(errReplaced)
	}
	p.s.pokeAll() // others may not be wanted any more
}

// lost notes that a subflow of the path has ended. mu is held.
func (p *path) lost(sf *subflow, cause error) {
	p.carried[0] += sf.txBytes
	p.carried[1] += sf.rxBytes
	tx, rx := sf.onWire()
	p.packets[0] += tx
	p.packets[1] += rx
	if p.sub != sf {
		return
	}
	p.sub, p.again, p.err, p.since = nil, false, cause, time.Now()
	if p.redial.Lost(p.s.now()); errors.Is(cause, ErrAltered) {
		p.quarantine(cause)
	}
	p.s.pokeAll()
}

// quarantine has a path that alters what it carries rest for long, unless it is the only one there is, which stays better than none. mu is held.
func (p *path) quarantine(cause error) {
	if p.s.answers() {
		p.redial.Altered(p.s.now(), rand.Float64())
		p.s.note(slog.LevelWarn, "path quarantined", "session", p.s.id, "path", p.Name, "reason", cause)
	}
}

// redialBeside has the path dialled although it has a subflow, which does not answer. mu is held.
func (p *path) redialBeside() {
	if !p.again {
		p.again = true
		p.redial.Lost(p.s.now())
		p.poke()
	}
}

// changed notes that the state of sf has changed. One that answers again needs no other beside it. mu is held.
func (p *path) changed(sf *subflow) {
	if p.sub != sf {
		return
	}
	p.since = time.Now()
	switch {
	case sf.doubted == 0 && p.again:
		p.again = false
		p.abort() // it would take the place of this one, after all that it costs
		p.redial.Joined(p.s.now())
	case sf.doubted != 0 && p.kicked != 0 && p.s.now()-p.kicked < kickFresh:
		p.redialBeside() // no lost packet, but what happened to the interface
	}
	p.s.pokeAll()
}

// state is the path's state for policies. mu is held.
func (p *path) state() pathman.State {
	switch {
	case p.Role == RoleNever:
		return pathman.Standby
	case p.sub != nil && p.sub.doubted != 0:
		return pathman.Suspect
	case p.sub != nil:
		return pathman.Up
	case p.dialing != nil:
		return pathman.Probing
	default:
		return p.redial.State()
	}
}

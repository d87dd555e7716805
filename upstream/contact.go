package upstream

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// ErrPathsDiffer says that a first contact has met another egress on one path than
// on the other: somebody is in between on one of them.
var ErrPathsDiffer = errors.New("paths lead to different egresses")

// errOnePath says that a first contact needs another path.
var errOnePath = errors.New("the egress's key is learned over two paths from two addresses of this machine: connect another network, or set egress.key")

const (
	contactRetryMin = time.Second
	contactRetryMax = 30 * time.Second
	// contactGrace is how long paths are waited for that might contradict two that agree.
	contactGrace = 2 * time.Second
	// contactStep bounds one question and its answer.
	contactStep = 10 * time.Second
)

// contact is the first contact of a client that does not know the egress's key: it
// connects over all paths, wants the same egress at the end of two at least, by its
// key and by what it has seen of them, and at the end of none another one.
type contact struct {
	pin    *pin
	client PublicKey
	lines  *lines
	tls    *tls.Config
	log    *slog.Logger
	grace  time.Duration
	first  time.Duration // of the waits between attempts

	mu  sync.Mutex
	err error // of the last attempt
}

func newContact(cfg *ClientConfig, ls *lines) (*contact, error) {
	t, err := contactTLS(cfg.Identity)
	if err != nil {
		return nil, err
	}
	return &contact{
		pin: cfg.pin, client: cfg.Identity.Public(), lines: ls, tls: t, log: cfg.Logger, grace: contactGrace, first: contactRetryMin,
	}, nil
}

// contactTLS shows id and accepts whoever holds the key that he shows. It is what is
// done with that key that makes the difference.
func contactTLS(id Identity) (*tls.Config, error) {
	c, err := baseTLS(id, alpnVerify)
	if err != nil {
		return nil, err
	}
	c.InsecureSkipVerify = true
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		_, err := peerKey(cs) // which protocol he speaks counts after which key he has
		return err
	}
	return c, nil
}

// await waits until there is a key.
func (c *contact) await(ctx context.Context) error {
	if c == nil {
		return nil
	}
	select {
	case <-c.pin.known:
		return nil
	case <-ctx.Done():
		return c.lines.unreachable(c.why())
	}
}

// why returns why there is no key, as far as that is known.
func (c *contact) why() error {
	if c == nil || c.pin.isKnown() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// run makes attempts until there is a key or ctx ends. A change of the interfaces
// makes one at once.
func (c *contact) run(ctx context.Context, changed <-chan struct{}) {
	wait := c.first
	for ctx.Err() == nil {
		c.lines.refresh(ctx)
		key, paths, err := c.attempt(ctx)
		if err == nil {
			err = c.pin.keep(key, paths)
		}
		if err == nil {
			c.log.Info("egress verified over two paths: its key is pinned", "key", key, "paths", strings.Join(paths, ","), "file", c.pin.file)
			return
		}
		c.failed(ctx, err, wait)
		timer := time.NewTimer(wait)
		wait = min(2*wait, contactRetryMax)
		select {
		case <-timer.C:
		case <-changed:
			wait = c.first
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// failed notes why an attempt came to nothing. The same reason again is no news.
func (c *contact) failed(ctx context.Context, err error, wait time.Duration) {
	if ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	level := slog.LevelWarn
	if c.err != nil && c.err.Error() == err.Error() {
		level = slog.LevelDebug
	}
	c.err = err
	c.mu.Unlock()
	c.log.Log(ctx, level, "no first contact with the egress", "reason", err, "wait", wait)
}

// reached is somebody at the end of a path who holds a key.
type reached struct {
	*carrier
	line     *line
	key      PublicKey
	protocol string
	err      error
}

// local is the address of this machine that the path leaves from.
func (r *reached) local() netip.Addr {
	return r.tcp.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
}

func (r *reached) String() string {
	return fmt.Sprintf("path %s (%v) shows key %v", r.line.Name, r.tcp.RemoteAddr(), r.key)
}

// attempt connects over all paths at once and returns the key that they agree on,
// and which paths these are.
func (c *contact) attempt(ctx context.Context) (PublicKey, []string, error) {
	ctx, cancel := context.WithCancel(ctx)
	list := c.lines.ranked()
	results := make(chan *reached)
	for _, l := range list {
		go func() { results <- c.reach(ctx, l) }()
	}
	a := &agreement{c: c, id: newContactID()}
	left := len(list)
	defer func() {
		cancel()
		for ; left > 0; left-- {
			(<-results).drop()
		}
		a.end()
	}()
	var over <-chan time.Time
	for left > 0 {
		select {
		case r := <-results:
			left--
			if err := a.add(ctx, r); err != nil {
				return PublicKey{}, nil, fmt.Errorf("first contact: %w", err)
			}
			if len(a.paths) > 1 && over == nil {
				grace := time.NewTimer(c.grace)
				defer grace.Stop()
				over = grace.C
			}
		case <-over:
			return a.lead.key, a.paths, nil
		case <-ctx.Done():
			return PublicKey{}, nil, ctx.Err()
		}
	}
	if len(a.paths) > 1 {
		return a.lead.key, a.paths, nil
	}
	return PublicKey{}, nil, fmt.Errorf("first contact: %w", a.lacks(c.lines))
}

// reach connects over one path.
func (c *contact) reach(ctx context.Context, l *line) *reached {
	d := *l.dialer
	d.tls, d.lowat, d.mptcp = c.tls, 0, false
	r := &reached{line: l}
	if r.carrier, r.err = d.dial(ctx); r.err != nil {
		c.lines.failed(l, r.err)
		return r
	}
	c.lines.worked(l, r.tcp.LocalAddr(), r.tcp.RemoteAddr())
	cs := r.conn.ConnectionState()
	r.protocol = cs.NegotiatedProtocol
	r.key, r.err = peerKey(cs)
	return r
}

// drop closes what there is of the connection.
func (r *reached) drop() {
	if r.carrier != nil {
		r.abort()
	}
}

// agreement is what an attempt has found so far.
type agreement struct {
	c      *contact
	id     contactID
	met    []*reached // everybody who showed a key
	lead   *reached   // the first path on which the egress noted the attempt
	paths  []string   // those that agree, the lead first
	failed attempts
}

// add takes in what there is at the end of one more path. An error ends the attempt.
func (a *agreement) add(ctx context.Context, r *reached) error {
	if r.err != nil {
		r.drop()
		a.failed = append(a.failed, onPath(r.line.Name, r.err))
		return nil
	}
	a.met = append(a.met, r)
	// The key first: who is in between may speak anything, or nothing.
	if r.key != a.met[0].key {
		return fmt.Errorf("%w: %v, %v; nothing is pinned: one of these lines is intercepted, or the file names two egresses", ErrPathsDiffer, a.met[0], r)
	}
	if a.lead == nil {
		if err := a.hold(ctx, r); err != nil {
			a.failed = append(a.failed, onPath(r.line.Name, err))
			return nil
		}
		a.lead, a.paths = r, append(a.paths, r.line.Name)
		return nil
	}
	if r.local() == a.lead.local() {
		a.failed = append(a.failed, onPath(r.line.Name, fmt.Errorf("leaves from %v as path %s does", r.local(), a.lead.line.Name)))
		return nil
	}
	switch err := a.confirm(ctx, r); {
	case errors.Is(err, ErrPathsDiffer):
		return err
	case err != nil:
		a.failed = append(a.failed, onPath(r.line.Name, err))
	default:
		a.paths = append(a.paths, r.line.Name)
	}
	return nil
}

// hold has the egress note what it has seen of the first path.
func (a *agreement) hold(ctx context.Context, r *reached) error {
	answer, err := r.ask(ctx, verifyMessage{kind: verifyHold, id: a.id})
	if err == nil && answer.kind != verifyHeld {
		err = fmt.Errorf("%w: kind %d", errVerifyKind, answer.kind)
	}
	return err
}

// confirm tells the egress over a second path what was seen on both, and wants the
// same from it.
func (a *agreement) confirm(ctx context.Context, r *reached) error {
	s := seen{id: a.id, client: a.c.client, egress: r.key, first: a.lead.binding, second: r.binding}
	answer, err := r.ask(ctx, verifyMessage{kind: verifyCheck, id: a.id, hash: s.hash(clientSaw)})
	if err != nil {
		return err
	}
	want := s.hash(egressSaw)
	switch {
	case answer.kind == verifySame && subtle.ConstantTimeCompare(answer.hash[:], want[:]) == 1:
		return nil
	case answer.kind == verifySame || answer.kind == verifyDiffers || answer.kind == verifyUnknown:
		return fmt.Errorf("%w: the egress that path %s (%v) leads to has not seen what came over path %s (%v), although both show key %v; nothing is pinned (egresses behind a balancer: set egress.key)",
			ErrPathsDiffer, r.line.Name, r.tcp.RemoteAddr(), a.lead.line.Name, a.lead.tcp.RemoteAddr(), r.key)
	default:
		return fmt.Errorf("%w: kind %d", errVerifyKind, answer.kind)
	}
}

// ask sends a message and reads the answer.
func (r *reached) ask(ctx context.Context, m verifyMessage) (verifyMessage, error) {
	if r.protocol != alpnVerify {
		return m, fmt.Errorf("%w: first contact", errProtocol)
	}
	_ = r.tcp.SetDeadline(time.Now().Add(contactStep))
	defer context.AfterFunc(ctx, r.abort)()
	if err := m.send(r.conn); err != nil {
		return m, reason(err)
	}
	answer, err := readVerify(r.conn)
	if err != nil {
		return m, reason(err)
	}
	return answer, nil
}

// end closes all connections.
func (a *agreement) end() {
	for _, r := range a.met {
		r.drop()
	}
}

// lacks says why there are no two paths.
func (a *agreement) lacks(ls *lines) error {
	switch {
	case len(a.met) == 0 && len(a.failed) == 0:
		return fmt.Errorf("%w: %w", ErrNoRoute, ls.why())
	case len(a.met) == 0:
		return a.failed.err()
	case len(a.failed) == 0:
		return fmt.Errorf("only path %s leads to it: %w", a.met[0].line.Name, errOnePath)
	case a.lead == nil:
		return fmt.Errorf("%w; an egress of before first contacts, or something in between: update the egress, or set egress.key", a.failed.err())
	default:
		return fmt.Errorf("only path %s leads to it (%w): %w", a.lead.line.Name, a.failed.err(), errOnePath)
	}
}

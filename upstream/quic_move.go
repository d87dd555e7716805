package upstream

import (
	"cmp"
	"slices"
	"time"
)

// rank returns the line's place among those the connection may use. One that it
// may not use comes last.
func rank(prefer []*line, l *line) int {
	if i := slices.Index(prefer, l); i >= 0 {
		return i
	}
	return len(prefer)
}

// scout opens routes over lines that have none and probes those that are due. It
// returns when the next one is.
func (k *quicLink) scout(now time.Time) time.Duration {
	prefer := k.prefer()
	k.extend(now, prefer)
	next := time.Minute
	here := rank(prefer, k.active.line)
	for _, r := range k.routes {
		place := rank(prefer, r.line)
		switch {
		case r == k.active, r.probing:
		case r.next.After(now):
			next = min(next, r.next.Sub(now))
		case place == len(prefer) || !k.startProbe(r):
			r.wait(now, false, place < here)
		}
	}
	return next
}

// extend opens a route over every line that has none, as far as there may be.
func (k *quicLink) extend(now time.Time, prefer []*line) {
	for _, l := range prefer {
		if len(k.routes) > maxStandby || slices.ContainsFunc(k.routes, func(r *quicRoute) bool { return r.line == l }) {
			continue
		}
		if now.Before(k.barred[l]) {
			continue
		}
		t, err := targetOf(k.ctx, l, k.remote)
		var r *quicRoute
		if err == nil {
			r, err = k.way.newRoute(k.ctx, l, t)
		}
		if err != nil {
			k.log.Debug("path cannot be moved to", "path", l.Name, "err", err)
			k.barred[l] = now.Add(deadMin)
			continue
		}
		r.socket.settled.Store(true)
		r.socket.trouble = k.stir
		k.mu.Lock()
		k.routes = append(k.routes, r)
		k.mu.Unlock()
	}
}

// startProbe probes a route in the background.
func (k *quicLink) startProbe(r *quicRoute) bool {
	if r.path == nil {
		p, err := k.conn.AddPath(r.tr)
		if err != nil {
			k.log.Debug("path cannot be moved to", "path", r.line.Name, "err", err)
			return false
		}
		r.path = p
	}
	r.probing = true
	path := r.path
	k.probes.Go(func() {
		result := r.probe(k.ctx, path)
		select {
		case k.probed <- result:
		case <-k.ctx.Done():
		}
	})
	return true
}

// settle acts on a probe's result.
func (k *quicLink) settle(now time.Time, p probed) {
	r := p.quicRoute
	r.probing = false
	if !slices.Contains(k.routes, r) {
		return // its line has changed meanwhile
	}
	prefer := k.prefer()
	better := rank(prefer, r.line) < rank(prefer, k.active.line)
	k.mu.Lock()
	r.valid, r.rtt = p.err == nil, p.rtt
	k.mu.Unlock()
	if r.good++; p.err != nil {
		r.good = 0
	}
	r.wait(now, p.err == nil, better)
	if p.err != nil {
		// A new path next time: this one would keep its connection ID.
		if r != k.active && r.path.Close() == nil {
			r.path = nil
		}
		k.lines.failed(r.line, p.err)
		return
	}
	k.lines.worked(r.line, r.socket.LocalAddr(), r.socket.RemoteAddr())
	if r != k.active && (better && r.good >= provenProbes || !k.quiet.IsZero()) {
		k.move(now, r, "reachable")
	}
}

// leave moves to another route because the one in use is dead: to the best of
// those that were not left a moment ago.
func (k *quicLink) leave(now time.Time) bool {
	k.active.left = now
	prefer := k.prefer()
	var ready []*quicRoute
	for _, r := range k.routes {
		if r != k.active && r.valid && !r.probing && rank(prefer, r.line) < len(prefer) {
			ready = append(ready, r)
		}
	}
	dead := func(r *quicRoute) int { // as another connection may have found
		if k.lines.works(r.line, now) {
			return 0
		}
		return 1
	}
	slices.SortFunc(ready, func(a, b *quicRoute) int {
		return cmp.Or(a.left.Compare(b.left), cmp.Compare(dead(a), dead(b)), cmp.Compare(rank(prefer, a.line), rank(prefer, b.line)))
	})
	for _, r := range ready {
		if k.move(now, r, "silent") {
			return true
		}
	}
	return false
}

// move makes r the route in use.
func (k *quicLink) move(now time.Time, r *quicRoute, why string) bool {
	if err := r.path.Switch(); err != nil {
		k.log.Debug("path cannot be moved to", "path", r.line.Name, "err", err)
		return false
	}
	k.account()
	from := k.active
	k.mu.Lock()
	k.active = r
	k.mu.Unlock()
	from.next, from.pause, from.good = now.Add(returnMin), returnMin, 0
	k.moves++
	k.log.Warn("moved to another path", "from", from.line.Name, "to", r.line.Name, "reason", why)
	k.ping()
	k.vigil.moved(now, max(time.Second<<min(k.moves-1, 4), 3*r.rtt))
	return true
}

// changed acts on what has become of the lines.
func (k *quicLink) changed(now time.Time, list []change) {
	for _, c := range list {
		for _, r := range slices.Clone(k.routes) {
			if r.line == c.line && (c.what == lineRemoved || k.lines.outlived(c.line, r.local())) {
				k.drop(now, r)
			}
		}
		delete(k.barred, c.line)
	}
}

// drop gives a route up whose line is gone. The one in use stays so until there
// is another.
func (k *quicLink) drop(now time.Time, r *quicRoute) {
	k.mu.Lock()
	k.routes = slices.DeleteFunc(k.routes, func(o *quicRoute) bool { return o == r })
	k.gone = append(k.gone, r)
	r.valid = false
	k.mu.Unlock()
	if r == k.active {
		if k.quiet.IsZero() {
			k.quiet = now
		}
		k.leave(now)
	}
	if r != k.active && r.path != nil {
		_ = r.path.Close()
	}
}

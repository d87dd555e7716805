package upstream

// Drain has clients go elsewhere: new sessions and connections are refused, clients are asked
// to open no more streams in the sessions that there are, and connections that wait for a
// stream are ended. What is open goes on, and sessions still get new subflows, until
// Shutdown. Ports stay open for that.
func (e *Egress) Drain() {
	e.mu.Lock()
	if e.draining || e.closing {
		e.mu.Unlock()
		return
	}
	e.draining = true
	if len(e.links) == 0 {
		close(e.empty)
	}
	e.mu.Unlock()
	e.log.Info("draining", "reason", "asked to take no more sessions")
	e.sessions.Drain()
	for _, l := range e.linksOf(func(l *link) bool { return l.idle != nil && l.idle() }) {
		l.end()
	}
}

// Drained returns a channel that is closed when Drain has been called and no client has
// anything open any more.
func (e *Egress) Drained() <-chan struct{} { return e.empty }

package upstream

import (
	"context"
	"slices"

	"github.com/mpsocks/mpsocks/mptcp"
)

// A link is something of a client's that ends when the client is removed: a
// session or a connection.
type link struct {
	client ClientKey
	// transport is what it speaks; TransportTCP also for what the client's kernel spreads over paths.
	transport string
	end       func()                // does not block
	flush     func(context.Context) // waits until what was written has arrived; may be nil
	status    func() egressLink
	idle      func() bool // whether it carries nothing yet; may be nil
	quic      bool        // it is a QUIC connection: a client has few
}

// maxQUICConns bounds the QUIC connections of one client, because each has windows of
// its own. A client needs one for each path; the others are what restarts and changed
// networks leave behind until they have been silent for long.
const maxQUICConns = 32

// egressLink is what a link has to say in Status.
type egressLink struct {
	streams   int
	datagrams *mptcp.DatagramStats // nil: within the streams
	paths     []PathStatus
}

// clientOf returns the name of the client with that key, or "". It takes the
// same time for every key.
func (e *Egress) clientOf(k PublicKey) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	name := ""
	for i := range e.clients {
		if e.clients[i].Key.equal(k) {
			name = e.clients[i].Name
		}
	}
	return name
}

// Clients returns who may use the egress.
func (e *Egress) Clients() []ClientKey {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.clients)
}

// SetClients changes who may use the egress. What a client has open ends when he
// is no longer in the list with the same name and key.
func (e *Egress) SetClients(list []ClientKey) error {
	if err := checkClients(list); err != nil {
		return err
	}
	e.mu.Lock()
	e.clients = slices.Clone(list)
	e.mu.Unlock()
	for _, l := range e.linksOf(func(l *link) bool { return !slices.Contains(list, l.client) }) {
		l.end()
	}
	return nil
}

// join notes a link. False means that it must not live: the client has been
// removed meanwhile, or has too many like it, or the egress closes.
func (e *Egress) join(l *link) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing || e.draining && l.transport != TransportMPTCP || !slices.Contains(e.clients, l.client) || l.quic && e.quicConnsLocked(l.client) >= maxQUICConns {
		return false
	}
	e.links[l] = struct{}{}
	return true
}

func (e *Egress) quicConns(client ClientKey) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.quicConnsLocked(client)
}

// quicConnsLocked returns how many QUIC connections the client has. mu is held.
func (e *Egress) quicConnsLocked(client ClientKey) (n int) {
	for l := range e.links {
		if l.quic && l.client == client {
			n++
		}
	}
	return n
}

func (e *Egress) leave(l *link) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, was := e.links[l]
	delete(e.links, l)
	if was && e.draining && len(e.links) == 0 {
		close(e.empty)
	}
}

// linksOf returns the links that match.
func (e *Egress) linksOf(match func(*link) bool) []*link {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []*link
	for l := range e.links {
		if match(l) {
			out = append(out, l)
		}
	}
	return out
}

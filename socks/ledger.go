package socks

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/things-go/go-socks5/statute"

	"github.com/mpsocks/mpsocks/internal/relay"
)

// ConnStatus is one open connection, for people.
type ConnStatus struct {
	ID uint64 `json:"id"` // counted from 1 since the start
	// Client is who has asked for it: at a Front the program's address, at an Egress the client's name.
	Client string `json:"client"`
	Kind   string `json:"kind"` // connect, http, udp, bind or resolve
	Target string `json:"target"`
	// Rule is which of the rules it goes by, and what that says; empty where none has matched, or they are asked for each datagram.
	Rule string `json:"rule,omitempty"`
	// Paths have carried bytes of it, by name; empty where that is not known.
	Paths []string `json:"paths,omitempty"`
	// Up are bytes to the target, Down those from it.
	Up    int64     `json:"tx_bytes"`
	Down  int64     `json:"rx_bytes"`
	Since time.Time `json:"since"`
}

// ConnTotals counts connections since the start, those that are open included.
type ConnTotals struct {
	Open   int               `json:"open"`
	Opened uint64            `json:"opened"`
	Up     uint64            `json:"tx_bytes"`
	Down   uint64            `json:"rx_bytes"`
	Failed map[string]uint64 `json:"failed,omitempty"` // of Opened, by why no connection came of them
	// Odd are SOCKS5 requests that were served although their reserved byte was not 0: some program does not keep to RFC 1928.
	Odd uint64 `json:"odd,omitempty"`
}

// ledger knows the connections that are open and counts those that were. Its zero value is empty. How many there are is bounded by who lets them in.
type ledger struct {
	perClient bool // count by client: at an Egress, whose clients are named by its configuration

	mu   sync.Mutex
	last uint64
	open map[uint64]*account
	sums map[string]*ConnTotals
}

// account is a connection in the ledger. All methods accept nil, for tests of what is below the ledger.
type account struct {
	id     uint64
	client string
	kind   string
	since  time.Time
	meter  relay.Meter
	cut    func()

	mu     sync.Mutex
	target string
	way    net.Conn // to the egress, or wherever the rules have it go; nil while there is none
	route  *Route   // what a rule says; nil: none has
	bytes  func() (up, down int64)
}

// enter takes in a connection, which cut ends. leave must follow.
func (l *ledger) enter(client, kind, target string, cut func()) *account {
	a := &account{client: client, kind: kind, target: target, since: time.Now(), cut: cut}
	a.bytes = a.meter.Bytes
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = make(map[uint64]*account)
	}
	l.last++
	a.id = l.last
	l.open[a.id] = a
	l.sumLocked(client).Opened++
	return a
}

func (l *ledger) leave(a *account) {
	up, down := a.carried()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, a.id)
	s := l.sumLocked(a.client)
	s.Up, s.Down = s.Up+uint64(up), s.Down+uint64(down)
}

// failed counts a connection of which nothing came.
func (l *ledger) failed(client string, why Reply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sumLocked(client)
	if s.Failed == nil {
		s.Failed = make(map[string]uint64)
	}
	s.Failed[why.slug()]++
}

// oddRequest counts a request that was served although it is not quite as its protocol has it.
func (l *ledger) oddRequest(client string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sumLocked(client).Odd++
}

// sumLocked returns the sums that a client's connections go to. mu is held.
func (l *ledger) sumLocked(client string) *ConnTotals {
	if !l.perClient {
		client = ""
	}
	if l.sums == nil {
		l.sums = make(map[string]*ConnTotals)
	}
	s := l.sums[client]
	if s == nil {
		s = new(ConnTotals)
		l.sums[client] = s
	}
	return s
}

// conns lists what is open, oldest first.
func (l *ledger) conns() []ConnStatus {
	out := []ConnStatus{}
	for _, a := range l.accounts() {
		out = append(out, a.status())
	}
	return out
}

func (l *ledger) accounts() []*account {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.SortedFunc(maps.Values(l.open), func(a, b *account) int { return int(a.id) - int(b.id) })
}

// end cuts a connection and reports whether there was one.
func (l *ledger) end(id uint64) bool {
	l.mu.Lock()
	a := l.open[id]
	l.mu.Unlock()
	if a != nil {
		a.cut()
	}
	return a != nil
}

// totals returns the sums by client; all under "" unless they are kept by client.
func (l *ledger) totals() map[string]ConnTotals {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]ConnTotals)
	for client, s := range l.sums {
		c := *s
		c.Failed = maps.Clone(s.Failed)
		out[client] = c
	}
	for _, a := range l.open {
		client := a.client
		if !l.perClient {
			client = ""
		}
		up, down := a.carried()
		c := out[client]
		c.Open, c.Up, c.Down = c.Open+1, c.Up+uint64(up), c.Down+uint64(down)
		out[client] = c
	}
	return out
}

// relay is cfg with the account's meter.
func (a *account) relay(cfg relay.Config) relay.Config {
	if a != nil {
		cfg.Meter = &a.meter
	}
	return cfg
}

// counts has bytes asked for what was carried, instead of the meter.
func (a *account) counts(bytes func() (up, down int64)) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bytes = bytes
}

// goes notes the way to the target, and the target itself unless it is empty.
func (a *account) goes(way net.Conn, target string) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.way = way; target != "" {
		a.target = target
	}
}

// ruled notes what the rules say.
func (a *account) ruled(r *Route) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.route = r; r.Rule < 0 {
		a.route = nil
	}
}

// up and down count bytes that are not relayed.
func (a *account) up(n int) {
	if a != nil {
		a.meter.Forth(n)
	}
}

func (a *account) down(n int) {
	if a != nil {
		a.meter.Back(n)
	}
}

func (a *account) carried() (up, down int64) {
	a.mu.Lock()
	bytes := a.bytes
	a.mu.Unlock()
	return bytes()
}

func (a *account) status() ConnStatus {
	up, down := a.carried()
	a.mu.Lock()
	way, target, route := a.way, a.target, a.route
	a.mu.Unlock()
	s := ConnStatus{ID: a.id, Client: a.client, Kind: a.kind, Target: target, Up: up, Down: down, Since: a.since}
	if route != nil {
		s.Rule = fmt.Sprintf("rules[%d]: %v", route.Rule, route)
	}
	if w, ok := way.(interface{ PathNames() []string }); ok {
		s.Paths = w.PathNames()
	}
	return s
}

// Conns lists the connections that programs have open, oldest first.
func (f *Front) Conns() []ConnStatus { return f.ledger.conns() }

// EndConn resets the connection of that ID at both ends, and reports whether there was one.
func (f *Front) EndConn(id uint64) bool { return f.ledger.end(id) }

// Totals counts what programs have asked for.
func (f *Front) Totals() ConnTotals { return f.ledger.totals()[""] }

// Conns lists the connections that clients have open, oldest first.
func (e *Egress) Conns() []ConnStatus { return e.ledger.conns() }

// EndConn resets the connection of that ID at both ends, and reports whether there was one.
func (e *Egress) EndConn(id uint64) bool { return e.ledger.end(id) }

// Totals counts what clients have asked for, by their names.
func (e *Egress) Totals() map[string]ConnTotals { return e.ledger.totals() }

// kindOf is what a request asks for, in a word.
func kindOf(command byte) string {
	switch {
	case isResolve(command):
		return "resolve"
	case command == statute.CommandBind:
		return "bind"
	case command == statute.CommandAssociate:
		return "udp"
	}
	return "connect"
}

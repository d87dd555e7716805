package configs

import (
	"net/netip"
	"time"
)

// Defaults of the egress's file.
const (
	DefaultEgressListen = ":8443"
	// DefaultEgressAdmin differs from the client's, so that both can run on
	// one machine.
	DefaultEgressAdmin = "127.0.0.1:1091"
)

// Egress is the configuration of `mpsocks egress`.
type Egress struct {
	Source
	Listen   []string
	QUIC     bool     // the UDP ports of the same numbers too
	Bench    bool     // serve measurements of `mpsocks bench live`
	Address  []string // what join links tell clients to dial
	Identity string   // file of the egress's private key, resolved
	Clients  []ClientKey
	Targets  Targets
	Limits   Limits
	UDP      UDP
	Bind     Bind
	Session  Session
	Memory   int64 // bytes for data on its way; 0: auto
	Drain    time.Duration
	Admin    Admin
	Log      Log
	Trace    Trace
}

// ClientKey is a client that may use the egress.
type ClientKey struct {
	Name   string
	Key    Key
	Limits Limits // what is zero is as for all clients
}

// Limits bound what one client may have at a time, over all of his connections.
// Unlimited stands for off.
type Limits struct {
	Streams int   // open at once
	Sockets int   // to targets, at once
	Dials   int   // of targets, per second
	Rate    int64 // bits per second, each way
}

// Bind is what the egress does about BIND.
type Bind struct {
	Serve     bool
	Timeout   time.Duration // of the wait for the peer
	Advertise netip.Addr    // that peers are told to connect to; not valid: the egress's own
}

// DefaultBindTimeout is how long a BIND waits for its peer when nobody says.
const DefaultBindTimeout = 2 * time.Minute

// Unlimited is the value of a limit that is switched off in the file.
const Unlimited = -1

// DefaultLimits are those of a file that says nothing.
var DefaultLimits = Limits{Streams: 4096, Sockets: 8192, Dials: 200, Rate: Unlimited}

// Targets says what clients may connect to through the egress.
type Targets struct {
	Allow []string // opens what is closed by default
	Deny  []string // closes more; wins over Allow
}

// LoadEgress reads the egress's file called name. Its error holds every
// problem of the file, one a line.
func LoadEgress(name string) (*Egress, error) {
	text, err := readFile(name)
	if err != nil {
		return nil, err
	}
	return ParseEgress(name, text)
}

// ParseEgress is LoadEgress for a text that is already read; name is what
// problems call it and what relative file names start from.
func ParseEgress(name string, text []byte) (*Egress, error) {
	root, err := parse(name, text)
	if err != nil {
		return nil, err
	}
	e := &Egress{
		Limits:  DefaultLimits,
		UDP:     DefaultUDP,
		Bind:    Bind{Timeout: DefaultBindTimeout},
		Session: defaultSession,
		Drain:   DefaultDrain,
		Admin:   Admin{Listen: DefaultEgressAdmin},
		Log:     Log{Level: "info", Format: "text"},
		Trace:   Trace{Size: DefaultTraceSize},
	}
	d := newDecoder(name)
	d.section(root, "", egressFields(e))
	if len(e.Listen) == 0 {
		e.Listen = []string{DefaultEgressListen}
	}
	d.required("identity", e.Identity != "", "the file with this egress's private key")
	_, have := d.places["clients"] // an empty list shuts everybody out, and may be meant
	d.required("clients", have, "the name and key of every client; `mpsocks init --client NAME` adds one")
	e.Source = Source{File: name, places: d.places}
	return e, d.problems.err()
}

// EgressKeys lists every setting of the egress's file by its dotted name.
func EgressKeys() []string {
	var c ClientKey
	return append(keys("", egressFields(&Egress{})), keys("clients[]", clientKeyFields(&c))...)
}

func egressFields(e *Egress) []field {
	return []field{
		{name: "listen", set: uniqueList(&e.Listen, "an address such as :8443", CheckListen)},
		{name: "quic", set: yesNo(&e.QUIC)},
		{name: "bench", set: yesNo(&e.Bench)},
		{name: "address", set: uniqueList(&e.Address, "an address such as egress.example.net:8443", CheckAddress)},
		{name: "identity", set: fileName(&e.Identity)},
		{name: "clients", set: clients(&e.Clients)},
		{name: "targets", section: []field{
			{name: "allow", set: uniqueList(&e.Targets.Allow, "a network or name", anyRule)},
			{name: "deny", set: uniqueList(&e.Targets.Deny, "a network or name", anyRule)},
		}},
		{name: "limits", section: limitFields(&e.Limits)},
		{name: "udp", section: udpFields(&e.UDP)},
		{name: "bind", section: []field{
			{name: "serve", set: yesNo(&e.Bind.Serve)},
			{name: "timeout", set: duration(&e.Bind.Timeout, time.Second, time.Minute*10, false)},
			{name: "advertise", set: address(&e.Bind.Advertise)},
		}},
		{name: "session", section: sessionFields(&e.Session)},
		{name: "memory", set: size(&e.Memory, 4<<20, 64<<30)},
		{name: "drain", set: duration(&e.Drain, 0, time.Hour, false)},
		{name: "admin", section: adminFields(&e.Admin)},
		{name: "log", section: logFields(&e.Log)},
		{name: "trace", section: traceFields(&e.Trace)},
	}
}

// anyRule leaves the grammar of target rules to the one place that knows it.
func anyRule(string) error { return nil }

// clients reads the list of clients.
func clients(to *[]ClientKey) setter {
	return list("name and key of a client", func(d *decoder, n *node, key string) {
		var c ClientKey
		before := len(d.problems)
		d.section(n, key, clientKeyFields(&c))
		if len(d.problems) > before {
			return
		}
		if c.Name == "" || c.Key == (Key{}) {
			d.problem(n, key, "needs both name and key")
			return
		}
		for _, o := range *to {
			if o.Name == c.Name || o.Key == c.Key {
				d.problem(n, key, "%s has the name or the key of %s, which is already in the list", c.Name, o.Name)
				return
			}
		}
		*to = append(*to, c)
	})
}

func clientKeyFields(c *ClientKey) []field {
	return []field{
		{name: "name", set: name(&c.Name)},
		{name: "key", set: key32(&c.Key)},
		{name: "limits", section: limitFields(&c.Limits)},
	}
}

func limitFields(l *Limits) []field {
	return []field{
		{name: "streams", set: count(&l.Streams, 1, 1_000_000)},
		{name: "sockets", set: count(&l.Sockets, 1, 1_000_000)},
		{name: "dials", set: count(&l.Dials, 1, 1_000_000)},
		{name: "rate", set: bitRate(&l.Rate, 1e6, 1e12)},
	}
}

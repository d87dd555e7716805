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
	Listen  []string
	QUIC    bool     // the UDP ports of the same numbers too
	Bench   bool     // serve measurements of `mpsocks bench live`
	Address []string // what join links tell clients to dial
	// Advertise are addresses of this egress alone, behind a balancer: where sessions get further paths.
	Advertise []netip.AddrPort
	Identity  string // file of the egress's private key, resolved
	Clients   []ClientKey
	Targets   Targets
	NextHop   string // URL of another SOCKS5 server that everything goes through; empty: none. Those who use it check it
	Limits    Limits
	UDP       UDP
	Bind      Bind
	Session   Session
	Memory    int64 // bytes for data on its way; 0: auto
	Drain     time.Duration
	Admin     Admin
	Log       Log
	Trace     Trace
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
	return Input{File: name}.Egress()
}

// ParseEgress is LoadEgress for a text that is already read; name is what
// problems call it and what relative file names start from.
func ParseEgress(name string, text []byte) (*Egress, error) {
	root, err := parse(name, text)
	if err != nil {
		return nil, err
	}
	return newDecoder(name).egress(root)
}

// egress reads the tree of an egress's file.
func (d *decoder) egress(root *node) (*Egress, error) {
	if c, e := sides(root); c > 0 && e == 0 && !d.noFile {
		return nil, d.otherSide("a client", "an egress", "client")
	}
	e := defaultEgress()
	d.section(root, "", egressFields(e))
	e.complete()
	d.required("identity", e.Identity != "", "the file with this egress's private key")
	_, have := d.places["clients"] // an empty list shuts everybody out, and may be meant
	d.required("clients", have, "the name and key of every client; `mpsocks init --client NAME` adds one")
	e.Source = d.source()
	return e, d.problems.err()
}

// defaultEgress is that of a file that says nothing, but for complete.
func defaultEgress() *Egress {
	return &Egress{
		Limits:  DefaultLimits,
		UDP:     DefaultUDP,
		Bind:    Bind{Timeout: DefaultBindTimeout},
		Session: defaultSession,
		Drain:   DefaultDrain,
		Admin:   Admin{Listen: DefaultEgressAdmin},
		Log:     Log{Level: "info", Format: "text"},
		Trace:   Trace{Size: DefaultTraceSize},
	}
}

// complete adds the defaults of lists, which would stand beside what the file has.
func (e *Egress) complete() {
	if len(e.Listen) == 0 {
		e.Listen = []string{DefaultEgressListen}
	}
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
		{name: "advertise", set: addrPorts(&e.Advertise)},
		{name: "identity", set: fileName(&e.Identity)},
		{name: "clients", set: clients(&e.Clients)},
		{name: "targets", section: []field{
			{name: "allow", set: uniqueList(&e.Targets.Allow, "a network or name", anyRule)},
			{name: "deny", set: uniqueList(&e.Targets.Deny, "a network or name", anyRule)},
		}},
		{name: "next_hop", set: action(&e.NextHop, "the URL of a SOCKS5 server, such as socks5://proxy.example:1080")},
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

package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Defaults of the client's file.
const (
	DefaultSocksListen = "127.0.0.1:1080"
	DefaultClientAdmin = "127.0.0.1:1090"
	DefaultLinger      = 5 * time.Minute
	DefaultCongestion  = "auto"   // by what each path shows
	SystemCongestion   = "system" // the choice of the machine's owner
	DefaultScheduler   = "ect"    // earliest completion time
	DefaultDrain       = 10 * time.Second
)

// Values of system_proxy.
const (
	SystemProxyOff   = "off"
	SystemProxyPAC   = "pac"
	SystemProxySocks = "socks"
)

var systemProxies = []string{SystemProxyOff, SystemProxyPAC, SystemProxySocks}

// Client is the configuration of `mpsocks client`.
type Client struct {
	Source
	Socks     Socks
	Egress    EgressRef
	Identity  string // file of the client's private key, resolved
	Transport string // mptcp, kernel, quic, quic-multi or tcp
	Paths     []Path // nil: every usable interface (auto)
	UDP       ClientUDP
	Session   Session
	Memory    int64 // bytes for data on its way; 0: auto
	Drain     time.Duration
	Admin     Admin
	// SystemProxy is how the system's proxy setting names the client while it
	// runs: off, pac or socks.
	SystemProxy string
	Log         Log
	Trace       Trace
}

// Socks is the local proxy port.
type Socks struct {
	Listen       []string          // IP:PORT or unix:PATH
	SocketMode   fs.FileMode       // of unix sockets
	AllowClients []netip.Prefix    // who may connect from other machines; nil: everybody who can
	Users        map[string]string // name to password or bcrypt hash; nil: no password asked
	Reply        string            // after-connect or optimistic
}

// ClientUDP is what the local port does about UDP ASSOCIATE.
type ClientUDP struct {
	UDP
	Ports     [2]uint16  // that associations take theirs from; zero: any
	Advertise netip.Addr // that programs are told to send to; not valid: the one they connected to
}

// UDP is what both sides may say about the datagrams of UDP ASSOCIATE.
type UDP struct {
	Serve     bool
	Idle      time.Duration // without datagrams, until an association ends; Off: no limit
	Redundant bool          // small ones go by two paths
}

// DefaultUDP is that of a file that says nothing.
var DefaultUDP = UDP{Serve: true, Idle: 5 * time.Minute}

// EgressRef says where the egress is and who it is.
type EgressRef struct {
	Address []string
	Key     Key
}

// Path is one way to the egress.
type Path struct {
	Name      string
	Interface string
	Source    netip.Addr
	Egress    []string // this path's own addresses of the egress; nil: those of egress.address
	Role      string   // primary, secondary, backup or never
}

// Session sets the session that all streams share.
type Session struct {
	Linger     time.Duration // how long it outlives its last path; Off: not at all
	Congestion string        // the kernel's congestion control on every path; auto: by what the path shows; system: the kernel's own choice
	Scheduler  string        // what decides which path carries new data: one of Schedulers
}

// Schedulers are the words that session.scheduler takes.
var Schedulers = []string{DefaultScheduler, "minrtt", "blest", "roundrobin", "redundant"}

// Admin is the port that status and paths ask.
type Admin struct {
	Listen  string // empty: off
	Profile bool   // serve profiles for `go tool pprof`
}

// Log says what is logged, and how.
type Log struct {
	Level  string // debug, info, warn or error
	Format string // text or json
}

// Trace is a file of what sessions decide and why.
type Trace struct {
	File string // resolved; empty: none
	Size int64  // bytes at most, the file before it included
}

// DefaultTraceSize is minutes of a busy session, and days of a quiet one.
const DefaultTraceSize = 64 << 20

// LoadClient reads the client's file called name. Its error holds every
// problem of the file, one a line.
func LoadClient(name string) (*Client, error) {
	text, err := readFile(name)
	if err != nil {
		return nil, err
	}
	return ParseClient(name, text)
}

// ParseClient is LoadClient for a text that is already read; name is what
// problems call it and what relative file names start from.
func ParseClient(name string, text []byte) (*Client, error) {
	root, err := parse(name, text)
	if err != nil {
		return nil, err
	}
	c := &Client{
		Socks:     Socks{Listen: []string{}, SocketMode: DefaultSocketMode, Reply: "after-connect"},
		Transport: "mptcp",
		UDP:       ClientUDP{UDP: DefaultUDP},
		Session:   defaultSession,
		Drain:     DefaultDrain,
		Admin:     Admin{Listen: DefaultClientAdmin},
		Log:       Log{Level: "info", Format: "text"},
		Trace:     Trace{Size: DefaultTraceSize},

		SystemProxy: SystemProxyOff,
	}
	d := newDecoder(name)
	d.section(root, "", clientFields(c))
	if len(c.Socks.Listen) == 0 {
		c.Socks.Listen = []string{DefaultSocksListen}
	}
	d.checkClient(c)
	c.Source = Source{File: name, places: d.places}
	return c, d.problems.err()
}

// ClientKeys lists every setting of the client's file by its dotted name.
func ClientKeys() []string {
	var p Path
	return append(keys("", clientFields(&Client{})), keys("paths[]", pathFields(&p))...)
}

func clientFields(c *Client) []field {
	return []field{
		{name: "socks", section: []field{
			{name: "listen", set: socksListen(&c.Socks.Listen)},
			{name: "socket_mode", set: socketMode(&c.Socks.SocketMode)},
			{name: "allow_clients", set: networks(&c.Socks.AllowClients)},
			{name: "users", set: users(&c.Socks.Users)},
			{name: "reply", set: oneOf(&c.Socks.Reply, "after-connect", "optimistic")},
		}},
		{name: "egress", section: []field{
			{name: "address", set: uniqueList(&c.Egress.Address, "an address such as egress.example.net:8443", CheckAddress)},
			{name: "key", set: key32(&c.Egress.Key)},
		}},
		{name: "identity", set: fileName(&c.Identity)},
		{name: "transport", set: oneOf(&c.Transport, "mptcp", "kernel", "quic", "quic-multi", "tcp")},
		{name: "paths", set: paths(&c.Paths)},
		{name: "udp", section: append(udpFields(&c.UDP.UDP),
			field{name: "ports", set: portRange(&c.UDP.Ports)},
			field{name: "advertise", set: address(&c.UDP.Advertise)})},
		{name: "session", section: sessionFields(&c.Session)},
		{name: "memory", set: size(&c.Memory, 4<<20, 64<<30)},
		{name: "drain", set: duration(&c.Drain, 0, time.Hour, false)},
		{name: "admin", section: adminFields(&c.Admin)},
		{name: "system_proxy", set: oneOf(&c.SystemProxy, systemProxies...)},
		{name: "log", section: logFields(&c.Log)},
		{name: "trace", section: traceFields(&c.Trace)},
	}
}

// defaultSession is that of a file that says nothing.
var defaultSession = Session{Linger: DefaultLinger, Congestion: DefaultCongestion, Scheduler: DefaultScheduler}

func sessionFields(s *Session) []field {
	return []field{
		{name: "linger", set: duration(&s.Linger, time.Second, 24*time.Hour, true)},
		{name: "congestion", set: name(&s.Congestion)},
		{name: "scheduler", set: oneOf(&s.Scheduler, Schedulers...)},
	}
}

func udpFields(u *UDP) []field {
	return []field{
		{name: "serve", set: yesNo(&u.Serve)},
		{name: "idle", set: duration(&u.Idle, time.Second, 24*time.Hour, true)},
		{name: "redundant", set: yesNo(&u.Redundant)},
	}
}

func adminFields(a *Admin) []field {
	return []field{{name: "listen", set: func(d *decoder, n *node, key string) {
		s, ok := d.scalar(n, key, "an address such as 127.0.0.1:1090, or off")
		if !ok {
			return
		}
		if s == "off" || n.kind == kindBool && s == "false" {
			a.Listen = ""
			return
		}
		if err := checkLoopback(s); err != nil {
			d.problem(n, key, "%v", err)
			return
		}
		a.Listen = s
	}}, {name: "profile", set: yesNo(&a.Profile)}}
}

func logFields(l *Log) []field {
	return []field{
		{name: "level", set: oneOf(&l.Level, "debug", "info", "warn", "error")},
		{name: "format", set: oneOf(&l.Format, "text", "json")},
	}
}

func traceFields(t *Trace) []field {
	return []field{
		{name: "file", set: fileName(&t.File)},
		{name: "size", set: size(&t.Size, 1<<20, 64<<30)},
	}
}

// checkClient looks at what no single setting shows.
func (d *decoder) checkClient(c *Client) {
	d.checkOpenPorts(c)
	if err := c.CheckSystemProxy(c.SystemProxy); err != nil {
		d.at("system_proxy", "%v", err)
	}
	d.required("egress.address", len(c.Egress.Address) > 0, "the HOST:PORT of the egress")
	d.required("egress.key", c.Egress.Key != Key{}, "the public key of the egress")
	d.required("identity", c.Identity != "", "the file with this client's private key")
}

// CheckSystemProxy says why the system's proxy setting cannot name this client in a
// way that system_proxy has.
func (c *Client) CheckSystemProxy(how string) error {
	switch {
	case how == SystemProxyOff:
	case how != SystemProxyPAC && how != SystemProxySocks:
		return fmt.Errorf("must be one of %s, not %q", strings.Join(systemProxies, ", "), how)
	case !slices.ContainsFunc(c.Socks.Listen, func(l string) bool { _, isUnix := UnixSocket(l); return !isUnix }):
		return errors.New("needs an address with a port in socks.listen; desktops know no unix sockets")
	case how == SystemProxyPAC && c.Admin.Listen == "":
		return errors.New("pac needs admin.listen, where the file comes from, and it is off")
	case how == SystemProxySocks && c.Socks.Users != nil:
		return errors.New("socks is not possible with socks.users: programs have no password for a SOCKS proxy of the system; pac is")
	}
	return nil
}

// checkOpenPorts refuses a port that lets everybody in.
func (d *decoder) checkOpenPorts(c *Client) {
	if c.Socks.Users != nil || c.Socks.AllowClients != nil || d.isBroken("socks.users") || d.isBroken("socks.allow_clients") {
		return
	}
	for i, l := range c.Socks.Listen {
		if _, isUnix := UnixSocket(l); isUnix || isLoopback(l) {
			continue
		}
		key := fmt.Sprintf("socks.listen[%d]", i)
		if _, ok := d.places[key]; !ok {
			key = "socks.listen"
		}
		d.at(key, "%s lets other machines in: set socks.users or socks.allow_clients as well, or set socks.listen to a loopback address such as %s",
			l, DefaultSocksListen)
	}
}

// isBroken reports whether something is wrong with a setting, which has been noted.
func (d *decoder) isBroken(key string) bool {
	return slices.ContainsFunc(d.problems, func(p Problem) bool {
		return p.Key == key || strings.HasPrefix(p.Key, key+"[") || strings.HasPrefix(p.Key, key+".")
	})
}

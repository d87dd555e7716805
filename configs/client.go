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
	DefaultEstablish   = "ext"    // all paths at once, merged
	DefaultFallback    = "tcp"    // one TLS connection each
	DefaultDrain       = 10 * time.Second
	DefaultUsage       = "usage.json" // in the folder of the file
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
	Rules     []Rule // the first that matches decides; nil: everything is tunnelled
	Mode      string // one of Modes
	Usage     string // file with how much of their caps paths have used, resolved
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

// Path is one way to the egress.
type Path struct {
	Name      string
	Interface string
	Source    netip.Addr
	Egress    []string // this path's own addresses of the egress; nil: those of egress.address
	Role      string   // primary, secondary, backup or never
	Cost      int      // dearer paths of a role wait until cheaper ones are saturated
	RateLimit int64    // bit/s each way; 0: none
	Cap       int64    // bytes a month; 0: none
	CapStart  int      // day of the month on which it begins anew
}

// Modes are the words that mode takes.
var Modes = []string{"auto", "aggregate", "low-latency", "handover", "redundant"}

// Session sets the session that all streams share.
type Session struct {
	Linger     time.Duration // how long it outlives its last path; Off: not at all
	Congestion string        // the kernel's congestion control on every path; auto: by what the path shows; system: the kernel's own choice
	Scheduler  string        // what decides which path carries new data: one of Schedulers
	AllowV0    bool          // speak MPTCP version 0, which knows only SHA-1, with a peer that has nothing else

	// The client's only.
	Establish string // how the paths of a new session go about it: one of Establishments
	Fallback  string // what becomes of new connections while the egress has no sessions: one of Fallbacks
}

// Values of egress.verify.
const (
	VerifyKey        = "key"         // by egress.key
	VerifySecondPath = "second-path" // by what two paths show at the first contact
)

// DefaultPin is where the key is kept that the first contact has shown: beside the client's file.
const DefaultPin = "egress.pin"

// Verifications are the words that egress.verify takes.
var Verifications = []string{VerifyKey, VerifySecondPath}

// Fallbacks are the words that session.fallback takes.
var Fallbacks = []string{DefaultFallback, "none"}

// Establishments are the words that session.establish takes.
var Establishments = []string{DefaultEstablish, "sim", "timer", "ips", "single"}

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
	return Input{File: name}.Client()
}

// ParseClient is LoadClient for a text that is already read; name is what
// problems call it and what relative file names start from.
func ParseClient(name string, text []byte) (*Client, error) {
	root, err := parse(name, text)
	if err != nil {
		return nil, err
	}
	unlistEgress(root)
	return newDecoder(name).client(root)
}

// client reads the tree of a client's file.
func (d *decoder) client(root *node) (*Client, error) {
	if c, e := sides(root); e > 0 && c == 0 && !d.noFile {
		return nil, d.otherSide("an egress", "a client", "egress")
	}
	c := defaultClient()
	d.section(root, "", clientFields(c))
	c.complete()
	if c.Usage == "" {
		c.Usage = resolve(d.file, DefaultUsage)
	}
	d.checkClient(c)
	c.Source = d.source()
	return c, d.problems.err()
}

// defaultClient is that of a file that says nothing, but for complete.
func defaultClient() *Client {
	return &Client{
		Socks:     Socks{Listen: []string{}, SocketMode: DefaultSocketMode, Reply: "after-connect"},
		Transport: "mptcp",
		Mode:      "auto",
		Egress:    EgressRef{Verify: VerifyKey, Choose: DefaultChoose},
		UDP:       ClientUDP{UDP: DefaultUDP},
		Session:   clientSession(),
		Drain:     DefaultDrain,
		Admin:     Admin{Listen: DefaultClientAdmin},
		Log:       Log{Level: "info", Format: "text"},
		Trace:     Trace{Size: DefaultTraceSize},

		SystemProxy: SystemProxyOff,
	}
}

// complete adds the defaults of lists, which would stand beside what the file has.
func (c *Client) complete() {
	if len(c.Socks.Listen) == 0 {
		c.Socks.Listen = []string{DefaultSocksListen}
	}
}

// ClientKeys lists every setting of the client's file by its dotted name.
func ClientKeys() []string {
	var p Path
	var r Rule
	var o OtherEgress
	all := append(keys("", clientFields(&Client{})), keys("paths[]", pathFields(&p))...)
	all = append(all, keys("egress.others[]", otherEgressFields(&o))...)
	return append(all, keys("rules[]", ruleFields(&r))...)
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
		{name: "egress", section: egressRefFields(&c.Egress)},
		{name: "identity", set: fileName(&c.Identity)},
		{name: "transport", set: oneOf(&c.Transport, "mptcp", "kernel", "quic", "quic-multi", "tcp")},
		{name: "paths", set: paths(&c.Paths)},
		{name: "rules", set: rules(&c.Rules)},
		{name: "mode", set: oneOf(&c.Mode, Modes...)},
		{name: "usage", set: fileName(&c.Usage)},
		{name: "udp", section: append(udpFields(&c.UDP.UDP),
			field{name: "ports", set: portRange(&c.UDP.Ports)},
			field{name: "advertise", set: address(&c.UDP.Advertise)})},
		{name: "session", section: clientSessionFields(&c.Session)},
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

// clientSession is defaultSession for the side that dials.
func clientSession() Session {
	s := defaultSession
	s.Establish, s.Fallback = DefaultEstablish, DefaultFallback
	return s
}

func sessionFields(s *Session) []field {
	return []field{
		{name: "linger", set: duration(&s.Linger, time.Second, 24*time.Hour, true)},
		{name: "congestion", set: name(&s.Congestion)},
		{name: "scheduler", set: oneOf(&s.Scheduler, Schedulers...)},
		{name: "allow_v0", set: yesNo(&s.AllowV0)},
	}
}

// clientSessionFields are those of the side that dials.
func clientSessionFields(s *Session) []field {
	return append(sessionFields(s),
		field{name: "establish", set: oneOf(&s.Establish, Establishments...)},
		field{name: "fallback", set: oneOf(&s.Fallback, Fallbacks...)},
	)
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
	d.checkRules(c)
	if err := c.CheckSystemProxy(c.SystemProxy); err != nil {
		d.at("system_proxy", "%v", err)
	}
	d.checkMode(c)
	if d.checkForeign(c) {
		return
	}
	d.required("egress.address", len(c.Egress.Address) > 0, "the HOST:PORT of the egress")
	d.checkVerify(c)
	d.required("identity", c.Identity != "", "the file with this client's private key")
	d.checkOthers(c)
}

// checkMode refuses what a mode decides to be said otherwise, and terms of paths that
// nobody would obey.
func (d *decoder) checkMode(c *Client) {
	if _, said := d.places["session.scheduler"]; said && (c.Mode == "low-latency" || c.Mode == "redundant") {
		d.at("session.scheduler", "is decided by mode: %s; leave one of them out", c.Mode)
	}
	if c.Transport == "mptcp" {
		return
	}
	if c.Mode != "auto" && c.Mode != "handover" {
		d.at("mode", "%s needs transport mptcp, not %s", c.Mode, c.Transport)
	}
	for i, p := range c.Paths {
		if p.RateLimit > 0 {
			d.at(fmt.Sprintf("paths[%d].rate_limit", i), "needs transport mptcp, not %s", c.Transport)
		}
	}
}

// checkVerify wants one way to know the egress: its key, or two paths that agree on it.
func (d *decoder) checkVerify(c *Client) {
	if c.Egress.Verify == VerifyKey {
		d.required("egress.key", c.Egress.Key != Key{}, "the public key of the egress")
		if c.Egress.Pin != "" {
			d.at("egress.pin", "is for a key that was learned: set egress.verify to %s, or take this out", VerifySecondPath)
		}
		return
	}
	if _, ok := d.places["egress.key"]; ok {
		d.at("egress.key", "is known, so there is nothing to learn: take out this, or egress.verify")
	}
	if len(c.Paths) == 1 {
		d.at("egress.verify", "%s needs two paths, and the file has one", VerifySecondPath)
	}
	if c.Egress.Pin == "" {
		c.Egress.Pin = resolve(d.file, DefaultPin)
	}
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

package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mpsocks/mpsocks/mptcp"
)

// The transports.
const (
	TransportMPTCP = "mptcp" // one session over all paths
	TransportTCP   = "tcp"   // one TLS connection a stream, over one path at a time
	// TransportKernel is one TLS connection a stream over the system's MPTCP.
	TransportKernel = "kernel"
	// TransportQUIC is one QUIC connection, over one path at a time.
	TransportQUIC = "quic"
	// TransportQUICMulti is one QUIC connection a path; streams are spread.
	TransportQUICMulti = "quic-multi"
)

var transportNames = []string{TransportMPTCP, TransportKernel, TransportQUIC, TransportQUICMulti, TransportTCP}

const (
	// defaultDialWait keeps the promise that a program whose egress is down is
	// told so within two seconds.
	defaultDialWait = 1800 * time.Millisecond
	// maxPaths is what one session takes.
	maxPaths = 16
)

// ClientConfig is what a client needs to know. It is not changed.
type ClientConfig struct {
	Egress    []string  // HOST:PORTs of the egress; needed unless every path has its own
	EgressKey PublicKey // its public key, unless there is a PinFile
	// PinFile keeps the egress's key where that is not known beforehand. While there is no such file the client makes a first contact: it
	// goes on with nobody but whom two of its paths agree on, and keeps his key.
	PinFile string
	// Instances are networks in which the egress may announce addresses of its own, from behind a balancer; those of Egress are allowed anyway.
	Instances []netip.Prefix
	// EgressName is what logs and status call the egress when there are Others; default: its first address.
	EgressName string
	// Others are egresses that new streams go to while this one does not answer, or, by ChooseLatency, when they are nearer. At most 7.
	Others    []AnotherEgress
	Choose    string       // a Choose constant; default ChooseOrder
	Identity  Identity     // this client's private key
	Plain     bool         // Egress is a SOCKS5 server of others, without TLS and keys: TransportTCP or TransportKernel
	Transport string       // a Transport constant; default TransportMPTCP
	Paths     []PathConfig // nil: every interface that leads to the egress
	Mode      string       // a Mode constant; default ModeAuto
	Usage     string       // file that keeps how much of their caps paths have used; empty: kept while the client runs
	Session   *mptcp.Config
	// Fallback says what becomes of new streams while the egress has no sessions: FallbackTCP, the default, or FallbackNone.
	Fallback string
	Logger   *slog.Logger  // nil: nothing is logged
	DialWait time.Duration // how long Dial waits while the egress is not reachable; default 1.8 s

	// What the machine is asked; tests put others in their place.
	names  resolver
	netifs func() (netifs, error)
	watch  func(ctx context.Context, signal chan<- struct{})
	udp    func(ctx context.Context, t *target) (*quicSocket, error)
	clocks clocks
	route  func(remote netip.AddrPort) netip.Addr

	// account takes the counters of paths in, before these go. NewClient sets it.
	account func([]PathStatus)
	// pin is the egress's key for those who connect. withDefaults makes it.
	pin *pin
}

func (cfg ClientConfig) withDefaults() ClientConfig {
	if cfg.Transport == "" {
		cfg.Transport = TransportMPTCP
	}
	if cfg.Mode == "" {
		cfg.Mode = ModeAuto
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.DialWait <= 0 {
		cfg.DialWait = defaultDialWait
	}
	if cfg.pin == nil {
		cfg.pin = newPin(cfg.EgressKey)
	}
	if cfg.names == nil {
		cfg.names = newNameCache(net.DefaultResolver)
	}
	if cfg.netifs == nil {
		cfg.netifs = readNetifs
	}
	if cfg.watch == nil {
		cfg.watch = watchSystem
	}
	if cfg.udp == nil {
		cfg.udp = dialUDP
	}
	if cfg.route == nil {
		cfg.route = systemRoute
	}
	if cfg.clocks == nil {
		cfg.clocks = machineClocks()
	}
	return cfg
}

func (cfg ClientConfig) check() error {
	switch {
	case cfg.Plain && cfg.Transport != TransportTCP && cfg.Transport != TransportKernel:
		return fmt.Errorf("transport %s: needs an egress of ours; a SOCKS5 server of others is reached by tcp or kernel", cfg.Transport)
	case !cfg.Plain && cfg.EgressKey.IsZero() && cfg.PinFile == "":
		return errors.New("egress key: not set")
	case cfg.PinFile != "" && (cfg.Plain || !cfg.EgressKey.IsZero()):
		return errors.New("pin file: there is nothing to learn where the egress's key is set, or it has none")
	case !cfg.Plain && cfg.Identity.IsZero():
		return errors.New("identity: not set")
	case !slices.Contains(transportNames, cfg.Transport):
		return fmt.Errorf("transport %q: not one of %s", cfg.Transport, strings.Join(transportNames, ", "))
	case cfg.Choose != "" && !slices.Contains(choices, cfg.Choose):
		return fmt.Errorf("choose %q: not one of %s", cfg.Choose, strings.Join(choices, ", "))
	case cfg.Fallback != "" && cfg.Fallback != FallbackTCP && cfg.Fallback != FallbackNone:
		return fmt.Errorf("fallback %q: not one of %s, %s", cfg.Fallback, FallbackTCP, FallbackNone)
	case !slices.Contains(modes, cfg.Mode):
		return fmt.Errorf("mode %q: not one of %s", cfg.Mode, strings.Join(modes, ", "))
	case cfg.Paths != nil && len(cfg.Paths) == 0:
		return errors.New("paths: an empty list; leave it out to use every interface")
	case len(cfg.Paths) > maxPaths:
		return fmt.Errorf("paths: %d of them, more than %d", len(cfg.Paths), maxPaths)
	}
	for _, e := range cfg.Egress {
		if err := checkHostPort(e); err != nil {
			return fmt.Errorf("egress: %w", err)
		}
	}
	if len(cfg.Paths) == 0 && len(cfg.Egress) == 0 {
		return errors.New("egress: no address")
	}
	if err := cfg.checkOthers(); err != nil {
		return err
	}
	return cfg.checkPaths()
}

func (cfg ClientConfig) checkPaths() error {
	seen := make(map[string]bool)
	for _, p := range cfg.Paths {
		p = p.withDefaults()
		switch err := p.check(); {
		case err != nil:
			return fmt.Errorf("path %s: %w", p.Name, err)
		case seen[p.Name]:
			return fmt.Errorf("path %s: is there twice", p.Name)
		case len(p.Egress) == 0 && len(cfg.Egress) == 0:
			return fmt.Errorf("path %s: egress: no address", p.Name)
		}
		seen[p.Name] = true
	}
	return nil
}

// A transport gets streams to the egress.
type transport interface {
	// run works until ctx ends; changed holds a token when the interfaces have
	// changed. It returns when nothing of the transport runs any more.
	run(ctx context.Context, changed <-chan struct{})
	dial(ctx context.Context) (net.Conn, error)
	status() Status
	// paths are the lines that it uses.
	paths() *lines
}

// Client is the way to the egress. Start it, then Dial.
type Client struct {
	cfg     ClientConfig
	way     transport
	contact *contact // nil: the egress's key is known
	tally   tally
	usage   *usage

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	changed chan struct{} // holds a token when interfaces or roles have changed

	mu      sync.Mutex
	started bool
	closed  bool
}

// NewClient checks the configuration. Nothing is dialled before Start.
func NewClient(cfg ClientConfig) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	c := &Client{cfg: cfg, changed: make(chan struct{}, 1)}
	c.usage = newUsage(cfg.Usage, c.cfg.Paths, cfg.Logger)
	c.cfg.account = func(paths []PathStatus) { c.count(paths, time.Now()) }
	err := c.choose()
	if err == nil {
		err = c.learn()
	}
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// learn takes the egress's key from its file, or makes ready to learn it.
func (c *Client) learn() (err error) {
	if c.cfg.PinFile == "" {
		return nil
	}
	if err := c.cfg.pin.load(c.cfg.PinFile); err != nil || c.cfg.pin.isKnown() {
		return err
	}
	ls := c.way.paths()
	if c.cfg.Transport == TransportKernel { // whose one path is the system's business
		ls = newLines(&c.cfg, nil, 0)
	}
	c.contact, err = newContact(&c.cfg, ls)
	return err
}

// choose makes the transport.
func (c *Client) choose() (err error) {
	if len(c.cfg.Others) > 0 {
		c.way, err = newSeveral(&c.cfg)
	} else {
		c.way, err = newTransport(&c.cfg)
	}
	return err
}

// newTransport makes the transport to one egress.
func newTransport(cfg *ClientConfig) (transport, error) {
	if cfg.Plain {
		return newPlain(cfg), nil
	}
	switch cfg.Transport {
	case TransportTCP:
		return newLone(cfg)
	case TransportKernel:
		return newKernel(cfg)
	case TransportQUIC, TransportQUICMulti:
		return newQUICWay(cfg)
	default:
		return newMultipath(cfg)
	}
}

// Start begins to connect and returns at once. The client works until Close is
// called or ctx ends; a path that is missing now is used when it appears.
func (c *Client) Start(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return fmt.Errorf("client: %w", ErrClosed)
	case c.started:
		return errors.New("client: already started")
	}
	c.started = true
	stop := context.AfterFunc(ctx, c.cancel)
	c.wg.Add(4)
	go c.keepTally()
	go func() {
		defer c.wg.Done()
		defer stop()
		if c.contact != nil {
			c.contact.run(c.ctx, c.changed)
		}
		c.way.run(c.ctx, c.changed)
	}()
	go func() {
		defer c.wg.Done()
		watchNetifs(c.ctx, c.cfg.watch, func() { tell(c.changed) })
	}()
	go func() {
		defer c.wg.Done()
		watchSleep(c.ctx, c.cfg.clocks, c.woke)
	}()
	return nil
}

// woke has all paths tried: what was connected before a sleep may be dead.
func (c *Client) woke(slept time.Duration) {
	c.cfg.Logger.Info("awake again: trying every path", "took", slept.Round(time.Second))
	c.way.paths().wake()
	tell(c.changed)
}

// Dial opens a stream to the egress. While the egress is not reachable it waits
// for a moment (ClientConfig.DialWait) and then fails with ErrEgressDown, or with
// ErrNoRoute when no path of this machine leads there.
//
// The stream can end one direction (CloseWrite() error) and be broken off
// (Reset() error); a stream that the other side broke off fails with
// syscall.ECONNRESET.
func (c *Client) Dial(ctx context.Context) (net.Conn, error) { return c.dial(ctx, c.way.dial) }

func (c *Client) dial(ctx context.Context, open func(context.Context) (net.Conn, error)) (net.Conn, error) {
	wait, cancel := context.WithTimeout(ctx, c.cfg.DialWait)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	var conn net.Conn
	err := c.contact.await(wait)
	if err == nil {
		conn, err = open(wait)
	}
	switch {
	case err == nil:
		return conn, nil
	case c.ctx.Err() != nil:
		return nil, fmt.Errorf("dial egress: %w", ErrClosed)
	case errors.Is(ctx.Err(), context.Canceled): // the caller's wish, not the egress's fault
		return nil, fmt.Errorf("dial egress: %w", context.Canceled)
	}
	return nil, err
}

// Status shows the session and the paths. Their bytes are counted since the start, their shares are those of the last ten seconds.
func (c *Client) Status() Status {
	st := c.way.status()
	if err := c.contact.why(); err != nil && c.ctx.Err() == nil {
		st.Session.State, st.Session.Reason = stateDown, err.Error()
	}
	c.count(st.Paths, time.Now())
	return st
}

// count takes the counters of the paths in. One whose cap is reached becomes a backup.
func (c *Client) count(paths []PathStatus, now time.Time) {
	c.usage.count(paths, now)
	c.tally.count(paths, now)
	if c.way != nil && c.way.paths().cap(c.usage.reached(now)) {
		tell(c.changed)
	}
}

// SetPath changes what a path is for until the client ends. The error says what is
// wrong with the change, or is ErrNoPath.
func (c *Client) SetPath(name string, change PathChange) error {
	if err := c.way.paths().set(name, change); err != nil {
		return err
	}
	tell(c.changed)
	return nil
}

// keepTally counts what paths carry until the client ends.
func (c *Client) keepTally() {
	defer c.wg.Done()
	defer c.usage.save()
	look := time.NewTimer(0)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			c.Status()
			c.usage.saveNowAndThen(time.Now())
			look.Reset(c.usage.next(tallyEvery))
		case <-c.ctx.Done():
			c.Status()
			return
		}
	}
}

// Close ends the session and everything in it, and returns when nothing of the
// client runs any more.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.wg.Wait()
	return nil
}

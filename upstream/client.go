package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
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
	Egress    []string     // HOST:PORTs of the egress; needed unless every path has its own
	EgressKey PublicKey    // its public key
	Identity  Identity     // this client's private key
	Transport string       // a Transport constant; default TransportMPTCP
	Paths     []PathConfig // nil: every interface that leads to the egress
	Session   *mptcp.Config
	Logger    *slog.Logger  // nil: nothing is logged
	DialWait  time.Duration // how long Dial waits while the egress is not reachable; default 1.8 s

	// What the machine is asked; tests put others in their place.
	names  resolver
	netifs func() (netifs, error)
	watch  func(ctx context.Context, signal chan<- struct{})
	udp    func(ctx context.Context, t *target) (*quicSocket, error)

	// account takes the counters of paths in, before these go. NewClient sets it.
	account func([]PathStatus)
}

func (cfg ClientConfig) withDefaults() ClientConfig {
	if cfg.Transport == "" {
		cfg.Transport = TransportMPTCP
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.DialWait <= 0 {
		cfg.DialWait = defaultDialWait
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
	return cfg
}

func (cfg ClientConfig) check() error {
	switch {
	case cfg.EgressKey.IsZero():
		return errors.New("egress key: not set")
	case cfg.Identity.IsZero():
		return errors.New("identity: not set")
	case !slices.Contains(transportNames, cfg.Transport):
		return fmt.Errorf("transport %q: not one of %s", cfg.Transport, strings.Join(transportNames, ", "))
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
}

// Client is the way to the egress. Start it, then Dial.
type Client struct {
	cfg   ClientConfig
	way   transport
	tally tally

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

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
	c := &Client{cfg: cfg}
	c.cfg.account = func(paths []PathStatus) { c.tally.count(paths, time.Now()) }
	if err := c.choose(); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// choose makes the transport.
func (c *Client) choose() (err error) {
	switch c.cfg.Transport {
	case TransportTCP:
		c.way, err = newLone(&c.cfg)
	case TransportKernel:
		c.way, err = newKernel(&c.cfg)
	case TransportQUIC, TransportQUICMulti:
		c.way, err = newQUICWay(&c.cfg)
	default:
		c.way, err = newMultipath(&c.cfg)
	}
	return err
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
	changed := make(chan struct{}, 1)
	c.wg.Add(3)
	go c.keepTally()
	go func() {
		defer c.wg.Done()
		defer stop()
		c.way.run(c.ctx, changed)
	}()
	go func() {
		defer c.wg.Done()
		watchNetifs(c.ctx, c.cfg.watch, func() { tell(changed) })
	}()
	return nil
}

// Dial opens a stream to the egress. While the egress is not reachable it waits
// for a moment (ClientConfig.DialWait) and then fails with ErrEgressDown, or with
// ErrNoRoute when no path of this machine leads there.
//
// The stream can end one direction (CloseWrite() error) and be broken off
// (Reset() error); a stream that the other side broke off fails with
// syscall.ECONNRESET.
func (c *Client) Dial(ctx context.Context) (net.Conn, error) {
	wait, cancel := context.WithTimeout(ctx, c.cfg.DialWait)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	conn, err := c.way.dial(wait)
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
	c.tally.count(st.Paths, time.Now())
	return st
}

// keepTally counts what paths carry until the client ends.
func (c *Client) keepTally() {
	defer c.wg.Done()
	tick := time.NewTicker(tallyEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.Status()
		case <-c.ctx.Done():
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

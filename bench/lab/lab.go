package lab

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"sync"
	"time"
)

// ErrUnsupported is what New returns where there are no network namespaces to
// be had: not Linux, or neither root nor allowed a user namespace. The error
// that wraps it says which.
var ErrUnsupported = errors.New("path laboratory not available")

// ErrClosed is what a closed lab answers.
var ErrClosed = errors.New("lab is closed")

// Config says what to build. The zero value of each field is its default.
type Config struct {
	Name      string            // namespaces are NAME-client and NAME-server; "" means labPID
	Paths     []Path            // at least one
	IPv6      bool              // also give the paths IPv6 addresses
	Targets   []netip.Addr      // more addresses of the server, on its lo; nil means 10.99.0.1, with IPv6 fd00:63::1 too
	Sysctls   map[string]string // kernel settings of both namespaces, such as net.ipv4.tcp_congestion_control
	Seed      uint64            // of everything random; the same seed gives the same draws
	Grain     time.Duration     // packets are handled together when they are this close; 0 means 150 µs, negative one by one
	NoOffload bool              // plain devices: the kernel cuts packets, not the emulator
	Veth      bool              // veth pairs and packet sockets even where TUN could be had
	Events    []Event           // changes at given times
	Logger    *slog.Logger      // nil discards
}

// Event is a command of Lab.Run at a time after New has returned.
type Event struct {
	At time.Duration
	Do string
}

// Lab is a client and a server namespace joined by emulated paths.
type Lab struct {
	cfg    Config
	lock   net.Listener
	client *Namespace
	server *Namespace
	// emulator holds the far sides of veth pairs; nil while TUN will do.
	emulator *Namespace
	engine   engine
	paths    []*PathControl

	stop  chan struct{} // closed by Close
	wg    sync.WaitGroup
	close func() error // once
}

// engine is the emulator, in this process or in one of its own. Paths are
// counted from 0. Everything fails with ErrClosed after close.
type engine interface {
	configure(path int, up, down Link) error
	setDown(path int, d Direction, down bool) error
	reset(path int) error // TCP connections
	stats(path int) (PathStats, error)
	cpu() (time.Duration, error)
	close() error // waits for the end; the devices go with it
}

// defaultGrain spares the processor: most of the emulator's cost is in waking up
// and in waking the receiver, once a batch. A packet is read up to a grain late
// and delivered up to a grain early.
const defaultGrain = 150 * time.Microsecond

// deviceName is what Linux takes as a name and every shell leaves alone.
var deviceName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]{0,14}$`)

// normalize fills in the defaults in a copy and reports the first mistake.
func (c Config) normalize() (Config, error) {
	if c.Name == "" {
		c.Name = fmt.Sprintf("lab%d", os.Getpid())
	}
	if c.Targets == nil {
		c.Targets = []netip.Addr{netip.AddrFrom4([4]byte{10, 99, 0, 1})}
		if c.IPv6 {
			c.Targets = append(c.Targets, netip.AddrFrom16([16]byte{0: 0xfd, 3: 99, 15: 1}))
		}
	}
	if c.Grain == 0 {
		c.Grain = defaultGrain
	}
	c.Grain = max(0, c.Grain)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if n := len(c.Paths); n == 0 || n > maxPaths {
		return c, fmt.Errorf("paths: %d, want 1 to %d", n, maxPaths)
	}
	c.Paths = slices.Clone(c.Paths)
	c.Sysctls, c.Events, c.Targets = maps.Clone(c.Sysctls), slices.Clone(c.Events), slices.Clone(c.Targets)
	seen := map[string]bool{"lo": true}
	for i := range c.Paths {
		if err := c.Paths[i].normalize(i, seen); err != nil {
			return c, fmt.Errorf("path %d: %w", i, err)
		}
	}
	return c, nil
}

// normalize is the same for path i; seen holds the names of those before it.
func (p *Path) normalize(i int, seen map[string]bool) error {
	if p.Name == "" {
		p.Name = fmt.Sprintf("path%d", i)
	}
	if !deviceName.MatchString(p.Name) || seen[p.Name] {
		return fmt.Errorf("name %q: not usable as an interface name, or used twice", p.Name)
	}
	seen[p.Name] = true
	if p.MTU == 0 {
		p.MTU = 1500
	}
	if p.MTU < 576 || p.MTU > 65535 {
		return fmt.Errorf("mtu %d: want 576 to 65535", p.MTU)
	}
	return errors.Join(p.Up.validate(), p.Down.validate())
}

// New builds a lab. Close takes it down.
func New(cfg Config) (*Lab, error) {
	cfg, err := cfg.normalize()
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	if err := Available(); err != nil {
		return nil, err
	}
	l := &Lab{cfg: cfg, stop: make(chan struct{})}
	l.close = sync.OnceValue(l.teardown)
	if err := l.build(); err != nil {
		return nil, fmt.Errorf("lab: %w", errors.Join(err, l.Close()))
	}
	if err := l.schedule(); err != nil {
		return nil, fmt.Errorf("lab: %w", errors.Join(err, l.Close()))
	}
	return l, nil
}

func (l *Lab) build() (err error) {
	// Held while we live, so that names left behind by a killed lab can be told
	// from those of a living one.
	if l.lock, err = net.Listen("unix", "@mpsocks-lab-"+l.cfg.Name); err != nil {
		return fmt.Errorf("name %s is in use: %w", l.cfg.Name, err)
	}
	if l.client, err = l.newNamespace("client"); err != nil {
		return err
	}
	if l.server, err = l.newNamespace("server"); err != nil {
		return err
	}
	for _, n := range []*Namespace{l.client, l.server} {
		if err := errors.Join(n.sysctl(baseSysctls(l.cfg.IPv6)), n.sysctl(l.cfg.Sysctls)); err != nil {
			return err
		}
	}
	ends, err := l.openDevices()
	if err != nil {
		return err
	}
	// From here on the engine owns the devices, also when it fails.
	if l.engine, err = newEngine(l.cfg, ends); err != nil {
		return err
	}
	for i, p := range l.cfg.Paths {
		l.paths = append(l.paths, &PathControl{lab: l, index: i, cfg: p, addr: clientAddr(i)})
	}
	return l.setup()
}

// openDevices makes both ends of every path, by side, or none.
func (l *Lab) openDevices() (all [][2]*device, err error) {
	for i := range l.cfg.Paths {
		var ends [2]*device
		for side, n := range []*Namespace{l.client, l.server} {
			if ends[side], err = l.openDevice(n, i); err != nil {
				closeDevices(append(all, ends))
				return nil, err
			}
		}
		all = append(all, ends)
	}
	return all, nil
}

func closeDevices(all [][2]*device) {
	for _, ends := range all {
		for _, d := range ends {
			if d != nil {
				_ = d.close()
			}
		}
	}
}

// newNamespace makes a namespace and names it where that is allowed: to an
// ordinary user's namespaces /run belongs to somebody else.
func (l *Lab) newNamespace(role string) (*Namespace, error) {
	ns, err := newNetns()
	if err != nil {
		return nil, err
	}
	n := &Namespace{name: l.cfg.Name + "-" + role, ns: ns}
	if err := ns.mount(n.name); err != nil {
		l.cfg.Logger.Debug("namespace without a name", "namespace", n.name, "err", err)
	}
	return n, nil
}

// schedule starts the clock of the events, none if one is not understood.
func (l *Lab) schedule() error {
	for i, e := range l.cfg.Events {
		if _, err := l.parse(e.Do); err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
	}
	for _, e := range l.cfg.Events {
		l.wg.Go(func() { l.later(e) })
	}
	return nil
}

// later carries out one event at its time.
func (l *Lab) later(e Event) {
	t := time.NewTimer(e.At)
	defer t.Stop()
	select {
	case <-l.stop:
		return
	case <-t.C:
	}
	_, err := l.Run(e.Do)
	l.cfg.Logger.Info("lab event", "event", e.Do, "err", err)
}

// Client is the namespace of the paths' near ends.
func (l *Lab) Client() *Namespace { return l.client }

// Server is the namespace of the paths' far ends and of the targets.
func (l *Lab) Server() *Namespace { return l.server }

// Paths returns all paths, in order.
func (l *Lab) Paths() []*PathControl { return slices.Clone(l.paths) }

// Path returns path i, counted from 0.
func (l *Lab) Path(i int) *PathControl { return l.paths[i] }

// EmulatorCPU is the processor time that the emulator has used so far. It
// includes what the kernel does to hand packets to their receivers.
func (l *Lab) EmulatorCPU() (time.Duration, error) { return l.engine.cpu() }

// Close removes devices, namespaces and names. Processes started inside go on
// with a network that carries nothing.
func (l *Lab) Close() error { return l.close() }

func (l *Lab) teardown() error {
	var errs []error
	close(l.stop)
	if l.engine != nil {
		errs = append(errs, l.engine.close())
	}
	l.wg.Wait()
	for _, n := range []*Namespace{l.client, l.server, l.emulator} {
		if n != nil {
			errs = append(errs, n.ns.close())
		}
	}
	if l.lock != nil {
		errs = append(errs, l.lock.Close())
	}
	return errors.Join(errs...)
}

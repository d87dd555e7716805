package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/admin"
	"github.com/mpsocks/mpsocks/socks"
	"github.com/mpsocks/mpsocks/upstream"
)

// clientParts is everything that a client is made of, before it exists.
type clientParts struct {
	upstream upstream.ClientConfig
	front    socks.FrontConfig
	listen   []string
	mode     fs.FileMode // of unix sockets
	admin    configs.Admin
	trace    configs.Trace
}

// newClientParts maps the file, and finds what is wrong with its values. What
// it accepts can still fail to start only for what the machine is doing, such
// as a port that is taken.
func newClientParts(cfg *configs.Client) (clientParts, error) {
	up, err := clientConfig(cfg)
	if err != nil {
		return clientParts{}, err
	}
	routes, err := clientRoutes(cfg)
	if err != nil {
		return clientParts{}, err
	}
	p := clientParts{upstream: up, front: frontConfig(cfg), listen: cfg.Socks.Listen, mode: cfg.Socks.SocketMode, admin: cfg.Admin, trace: cfg.Trace}
	p.front.Routes = routes
	// Making them without serving them is how they check their settings.
	c, err := upstream.NewClient(p.upstream)
	if err != nil {
		return clientParts{}, cfg.Problem("", err.Error())
	}
	front := p.front
	front.Dial = c.Dial
	_, err = socks.NewFront(front)
	if err = errors.Join(c.Close(), err); err != nil {
		return clientParts{}, cfg.Problem("socks", err.Error())
	}
	return p, nil
}

// clientSide is a client whose ports are open.
type clientSide struct {
	up    *upstream.Client
	front *socks.Front
	ports *localPorts
	admin *admin.Server // nil: off
	trace *traceSide
	page  *pageSide // nil: off
	log   *slog.Logger
	token string // for changes by the admin port
	// reload reads the configuration again; nil until there is one to be read.
	reload atomic.Pointer[func() (any, error)]
}

// openClient opens the ports, so that one that is taken is known at once.
func openClient(p clientParts, log *slog.Logger) (*clientSide, error) {
	c := &clientSide{ports: newLocalPorts()}
	c.page, log = newPageSide(p.admin, log)
	c.log, c.token = log, p.upstream.Identity.AdminToken()
	p.upstream.Logger, p.front.Logger = log, log
	var err error
	if c.trace, err = openTrace(p.trace, log); err != nil {
		return nil, err
	}
	p.upstream.Session = c.trace.of(p.upstream.Session)
	if c.up, err = upstream.NewClient(p.upstream); err != nil {
		c.trace.close()
		return nil, err
	}
	p.front.Dial = c.up.Dial
	if p.upstream.Transport == upstream.TransportMPTCP {
		p.front.DialPaths = dialPaths(c.up)
	}
	p.front.Direct = socks.FrontDirect{Dial: c.up.DialDirect, Listen: c.up.ListenDirect}
	if c.front, err = socks.NewFront(p.front); err != nil {
		c.stop(ended())
		return nil, err
	}
	c.ports.serve = c.front.Serve
	if _, err := c.ports.replace(p.listen, p.mode); err != nil {
		c.stop(ended())
		return nil, err
	}
	pac, err := pacFile(c.ports.addresses(), len(p.front.Users) > 0, p.front.Routes)
	if err != nil {
		c.stop(ended())
		return nil, err
	}
	c.openPage(log)
	if c.admin, err = openAdmin(p.admin, admin.Config{
		Status: c.status, PAC: pac, Trace: c.trace.hub.Serve, Logger: log,
		Page: c.page.handler(), Ready: c.canWork, Metrics: c.measures(log), SetPath: c.setPath, Reload: c.readAgain,
		Conns: func() any { return c.front.Conns() }, EndConn: c.front.EndConn, Token: c.token,
	}); err != nil {
		c.stop(ended())
		return nil, err
	}
	return c, nil
}

// status is what the admin port tells.
func (c *clientSide) status() any {
	return sideStatus{c.up.Status(), c.front.UDP(), c.front.Totals()}
}

// setPath carries out a change that came by the admin port.
func (c *clientSide) setPath(name string, change admin.PathChange) error {
	err := c.up.SetPath(name, upstream.PathChange(change))
	if errors.Is(err, upstream.ErrNoPath) {
		return fmt.Errorf("%w: %w", admin.ErrNotFound, err)
	}
	return err
}

// start begins to connect to the egress and returns the loops that serve.
func (c *clientSide) start(ctx context.Context) ([]func() error, error) {
	if err := c.up.Start(ctx); err != nil {
		return nil, err
	}
	loops := []func() error{c.ports.run}
	if c.admin != nil {
		loops = append(loops, c.admin.Serve)
	}
	return loops, nil
}

// stop ends everything: first the programs' connections, which may take until
// ctx ends, then what they go through, then the view on it.
func (c *clientSide) stop(ctx context.Context) {
	c.ports.close()
	if c.front != nil {
		_ = c.front.Shutdown(ctx) // an error says that time was up
	}
	c.ports.wait()
	_ = c.up.Close()
	c.page.close()
	closeAdmin(ctx, c.admin)
	c.trace.close()
}

// ready are the words of the log line that says so.
func (c *clientSide) ready() []any {
	words := []any{"socks", strings.Join(c.ports.addresses(), ","), "state", c.up.Status().Session.State}
	if c.admin != nil {
		words = append(words, "admin", c.admin.Addr())
	}
	return words
}

// addressesOf are where listeners listen, as socks.listen has it.
func addressesOf(listeners []net.Listener) []string {
	all := make([]string, len(listeners))
	for i, ln := range listeners {
		all[i] = ln.Addr().String()
		if ln.Addr().Network() == "unix" {
			all[i] = "unix:" + all[i]
		}
	}
	return all
}

// listenLocal opens what programs connect to: a port or a unix socket.
func listenLocal(addr string, mode fs.FileMode) (net.Listener, error) {
	if file, ok := configs.UnixSocket(addr); ok {
		return listenUnix(file, mode)
	}
	return listenTCP(addr)
}

// listenTCP opens a port for plain TCP: Go's listeners speak kernel MPTCP by
// default, which costs and gains nothing on the way to a local program.
func listenTCP(addr string) (net.Listener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	return lc.Listen(context.Background(), "tcp", addr)
}

// sideStatus is what the admin port tells.
type sideStatus struct {
	upstream.Status
	UDP   socks.UDPStats   `json:"udp"`
	Conns socks.ConnTotals `json:"connections"`
}

// openAdmin opens the admin port, if there is to be one.
func openAdmin(cfg configs.Admin, s admin.Config) (*admin.Server, error) {
	if cfg.Listen == "" {
		return nil, nil
	}
	s.Listen, s.Profile = cfg.Listen, cfg.Profile
	a, err := admin.New(s)
	if err != nil {
		return nil, &portError{"admin.listen", err}
	}
	return a, nil
}

func closeAdmin(ctx context.Context, s *admin.Server) {
	if s != nil {
		_ = s.Shutdown(ctx) // an error says that time was up
	}
}

// ended is a context whose time is up.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

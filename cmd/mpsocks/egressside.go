package main

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"

	"github.com/mpsocks/mpsocks/bench"
	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/admin"
	"github.com/mpsocks/mpsocks/socks"
	"github.com/mpsocks/mpsocks/upstream"
)

// egressParts is everything that an egress is made of, before it exists.
type egressParts struct {
	upstream upstream.EgressConfig
	targets  socks.EgressConfig
	admin    configs.Admin
	bench    bool // serve measurements
	trace    configs.Trace
}

// newEgressParts maps the file, and finds what is wrong with its values. What
// it accepts can still fail to start only for what the machine is doing, such
// as a port that is taken.
func newEgressParts(cfg *configs.Egress) (egressParts, error) {
	up, upErr := egressConfig(cfg)
	rules, err := targetRules(cfg)
	var hopErr error
	if cfg.NextHop != "" {
		if err := socks.CheckNextHop(cfg.NextHop); err != nil {
			hopErr = cfg.Problem("next_hop", err.Error())
		}
	}
	if err := allProblems(upErr, err, hopErr); err != nil {
		return egressParts{}, err
	}
	targets := socks.EgressConfig{
		Targets: rules, NextHop: cfg.NextHop, Limits: clientLimits(cfg.Limits), ClientLimits: limitsByClient(cfg),
		UDP:  socks.EgressUDP{Off: !cfg.UDP.Serve, Idle: cfg.UDP.Idle},
		Bind: socks.EgressBind{On: cfg.Bind.Serve, Advertise: cfg.Bind.Advertise, Timeout: cfg.Bind.Timeout},
	}
	p := egressParts{upstream: up, targets: targets, admin: cfg.Admin, bench: cfg.Bench, trace: cfg.Trace}
	// Making it without serving it is how it checks its settings.
	u := p.upstream
	u.Handle = func(context.Context, net.Conn, string, func(error)) {}
	e, err := upstream.NewEgress(u)
	if err != nil {
		return egressParts{}, cfg.Problem("", err.Error())
	}
	return p, e.Shutdown(context.Background())
}

// egressSide is an egress whose ports are open.
type egressSide struct {
	up    *upstream.Egress
	socks *socks.Egress
	admin *admin.Server  // nil: off
	bench *bench.Service // nil: off
	trace *traceSide
	page  *pageSide // nil: off
	log   *slog.Logger
	// reload reads the configuration again; nil until there is one to be read.
	reload atomic.Pointer[func() (any, error)]
}

// openEgress opens the ports, so that one that is taken is known at once.
func openEgress(p egressParts, log *slog.Logger) (*egressSide, error) {
	e := &egressSide{}
	e.page, log = newPageSide(p.admin, log)
	e.log = log
	p.upstream.Logger, p.targets.Logger = log, log
	if p.bench {
		e.bench = bench.NewService(log)
		p.targets.Inside = map[string]func(context.Context) (net.Conn, error){bench.ServiceTarget: e.bench.Open}
	}
	var err error
	if e.socks, err = socks.NewEgress(p.targets); err != nil {
		return nil, err
	}
	if e.trace, err = openTrace(p.trace, log); err != nil {
		return nil, err
	}
	p.upstream.Session = e.trace.of(p.upstream.Session)
	p.upstream.Handle = e.socks.Serve
	if e.up, err = upstream.NewEgress(p.upstream); err != nil {
		e.trace.close()
		return nil, err
	}
	if err := e.up.Listen(); err != nil {
		e.stop(ended())
		return nil, &portError{"listen", err}
	}
	e.openPage(log)
	if e.admin, err = openAdmin(p.admin, admin.Config{
		Status: e.status, Page: e.page.handler(), Trace: e.trace.hub.Serve, Reload: e.readAgain, Drain: e.up.Drain,
		Conns: func() any { return e.socks.Conns() }, EndConn: e.socks.EndConn, Token: p.upstream.Identity.AdminToken(),
		Ready: e.canWork, Metrics: e.measures(log), Logger: log,
	}); err != nil {
		e.stop(ended())
		return nil, err
	}
	return e, nil
}

// status is what the admin port tells.
func (e *egressSide) status() any {
	return sideStatus{e.up.Status(), e.socks.UDP(), sum(e.socks.Totals())}
}

// start returns the loops that serve.
func (e *egressSide) start(ctx context.Context) []func() error {
	loops := []func() error{func() error { return e.up.Serve(ctx) }}
	if e.admin != nil {
		loops = append(loops, e.admin.Serve)
	}
	return loops
}

// stop ends everything: first the clients' streams, which may take until ctx
// ends, then the view on them.
func (e *egressSide) stop(ctx context.Context) {
	_ = e.up.Shutdown(ctx) // an error says that time was up
	if e.bench != nil {
		_ = e.bench.Close() // nobody is left who uses it
	}
	e.page.close()
	closeAdmin(ctx, e.admin)
	e.trace.close()
}

// ready are the words of the log line that says so.
func (e *egressSide) ready() []any {
	var at []string
	for _, a := range e.up.Addrs() {
		at = append(at, a.String())
	}
	words := []any{"listen", strings.Join(at, ",")}
	if e.admin != nil {
		words = append(words, "admin", e.admin.Addr())
	}
	return words
}

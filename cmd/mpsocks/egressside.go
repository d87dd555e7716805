package main

import (
	"context"
	"log/slog"
	"net"
	"strings"

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
	if err := allProblems(upErr, err); err != nil {
		return egressParts{}, err
	}
	targets := socks.EgressConfig{
		Targets: rules, Limits: clientLimits(cfg.Limits), ClientLimits: limitsByClient(cfg),
		UDP:  socks.EgressUDP{Off: !cfg.UDP.Serve, Idle: cfg.UDP.Idle},
		Bind: socks.EgressBind{On: cfg.Bind.Serve, Advertise: cfg.Bind.Advertise, Timeout: cfg.Bind.Timeout},
	}
	p := egressParts{upstream: up, targets: targets, admin: cfg.Admin, bench: cfg.Bench, trace: cfg.Trace}
	// Making it without serving it is how it checks its settings.
	u := p.upstream
	u.Handle = func(context.Context, net.Conn, string) error { return nil }
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
}

// openEgress opens the ports, so that one that is taken is known at once.
func openEgress(p egressParts, log *slog.Logger) (*egressSide, error) {
	p.upstream.Logger, p.targets.Logger = log, log
	e := &egressSide{}
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
	p.upstream.Handle = e.socks.ServeConn
	if e.up, err = upstream.NewEgress(p.upstream); err != nil {
		e.trace.close()
		return nil, err
	}
	if err := e.up.Listen(); err != nil {
		e.stop(ended())
		return nil, &portError{"listen", err}
	}
	if e.admin, err = openAdmin(p.admin, admin.Config{Status: func() any { return sideStatus{e.up.Status(), e.socks.UDP()} }, Trace: e.trace.hub.Serve, Logger: log}); err != nil {
		e.stop(ended())
		return nil, err
	}
	return e, nil
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

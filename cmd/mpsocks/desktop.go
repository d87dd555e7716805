package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/admin"
	"github.com/mpsocks/mpsocks/internal/sysproxy"
)

// desktop is the proxy setting of a system.
type desktop interface {
	On(ctx context.Context, t sysproxy.Target, by sysproxy.Owner) error
	Off(ctx context.Context) (sysproxy.Restored, error)
	Release(ctx context.Context) error
	Recover(ctx context.Context) (bool, error)
	Status(ctx context.Context) ([]sysproxy.Line, error)
}

// system is the proxy setting to use.
func (e env) system() (desktop, error) {
	if e.desktop != nil {
		return e.desktop()
	}
	return sysproxy.New()
}

// systemTarget is where programs are to go: to a client at port, whose PAC file the
// admin port at pac has, if that is the way.
func systemTarget(how string, port netip.AddrPort, pac string) sysproxy.Target {
	t := sysproxy.Target{Host: port.Addr().String(), Port: strconv.Itoa(int(port.Port()))}
	if how == configs.SystemProxyPAC {
		t.PAC = "http://" + pac + admin.PACPath
	} else {
		t.Bypass = directHosts
	}
	return t
}

// clientDesktop is the system's proxy as a running client sets it.
type clientDesktop struct {
	system desktop
	err    error // why there is none
	log    *slog.Logger
	isSet  bool
}

// openDesktop first puts back what a client has left behind that could not do so itself.
func openDesktop(ctx context.Context, e env, log *slog.Logger) *clientDesktop {
	d := &clientDesktop{log: log}
	if d.system, d.err = e.system(); d.err != nil {
		log.Debug("no system proxy", "err", d.err)
		return d
	}
	switch recovered, err := d.system.Recover(ctx); {
	case err != nil:
		log.Warn("system proxy cannot be restored", "err", err)
	case recovered:
		log.Info("system proxy restored", "reason", "an earlier client ended without doing so")
	}
	return d
}

// set has programs go to a client whose ports are open.
func (d *clientDesktop) set(ctx context.Context, how string, c *clientSide) error {
	if how == configs.SystemProxyOff {
		return nil
	}
	if d.err != nil {
		return d.err
	}
	port, err := localPort(c.ports.addresses())
	if err != nil {
		return fmt.Errorf("system proxy: %w", err)
	}
	pac := ""
	if c.admin != nil {
		pac = c.admin.Addr().String()
	}
	t := systemTarget(how, port, pac)
	if err := d.system.On(ctx, t, sysproxy.ByClient); err != nil {
		return err
	}
	d.isSet = true
	d.log.Info("system proxy set", "to", t.String())
	return nil
}

// release puts back what was there before.
func (d *clientDesktop) release(ctx context.Context) {
	if !d.isSet {
		return
	}
	if err := d.system.Release(context.WithoutCancel(ctx)); err != nil {
		d.log.Error("system proxy cannot be restored; `mpsocks system-proxy off` tries again", "err", err)
		return
	}
	d.log.Info("system proxy restored")
}

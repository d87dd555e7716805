package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/logging"
	"github.com/mpsocks/mpsocks/socks"
	"github.com/mpsocks/mpsocks/upstream"
)

// What a reload puts into effect. All other settings need a restart; a test holds that
// each is in one of these lists.
var (
	liveClient = []string{
		"socks.listen", "socks.allow_clients", "socks.users", "socks.reply", "paths", "rules", "drain", "log.level",
	}
	restartClient = []string{
		"socks.socket_mode", "egress.address", "egress.key", "egress.verify", "egress.pin", "egress.instances", "egress.socks5", "egress.name", "egress.choose", "egress.others", "identity", "transport", "mode", "usage",
		"udp.serve", "udp.idle", "udp.redundant", "udp.ports", "udp.advertise",
		"session.linger", "session.congestion", "session.scheduler", "session.allow_v0", "session.establish", "session.fallback",
		"memory", "admin.listen", "admin.profile", "system_proxy", "log.format", "trace.file", "trace.size",
	}
	liveEgress    = []string{"clients", "targets.allow", "targets.deny", "limits.streams", "limits.sockets", "limits.dials", "limits.rate", "address", "drain", "log.level"}
	restartEgress = []string{
		"listen", "advertise", "quic", "bench", "identity", "next_hop", "udp.serve", "udp.idle", "udp.redundant", "bind.serve", "bind.timeout", "bind.advertise",
		"session.linger", "session.congestion", "session.scheduler", "session.allow_v0", "memory", "admin.listen", "admin.profile",
		"log.format", "trace.file", "trace.size",
	}
)

// reloaded is what has become of a configuration that was read again.
type reloaded struct {
	Changed []configs.Change `json:"changed"` // in effect now
	Restart []configs.Change `json:"restart"` // in effect after a restart
}

// sort puts changes where they belong.
func (r *reloaded) sort(all []configs.Change, live []string) {
	for _, c := range all {
		if slices.Contains(live, c.Setting) {
			r.Changed = append(r.Changed, c)
		} else {
			r.Restart = append(r.Restart, c)
		}
	}
}

// has reports whether a setting that begins with prefix has changed.
func (r *reloaded) has(prefix string) bool {
	return slices.ContainsFunc(r.Changed, func(c configs.Change) bool { return strings.HasPrefix(c.Setting, prefix) })
}

// waiting are the names of what needs a restart.
func (r *reloaded) waiting() []string {
	names := make([]string, len(r.Restart))
	for i, c := range r.Restart {
		names[i] = c.Setting
	}
	return names
}

// identityChange is another key in the same file.
func (r *reloaded) identityChange(before, now upstream.Identity) {
	if before.Public() != now.Public() && !slices.Contains(r.waiting(), "identity") {
		r.Restart = append(r.Restart, configs.Change{Setting: "identity", From: "a key", To: "another key"})
	}
}

func (r *reloaded) log(log *slog.Logger) {
	words := func(all []configs.Change) string {
		texts := make([]string, len(all))
		for i, c := range all {
			texts[i] = c.String()
		}
		return strings.Join(texts, ", ")
	}
	var attrs []any
	if len(r.Changed) > 0 {
		attrs = append(attrs, "changed", words(r.Changed))
	}
	if len(r.Restart) > 0 {
		attrs = append(attrs, "needs_restart", words(r.Restart))
	}
	if len(attrs) == 0 {
		attrs = append(attrs, "reason", "nothing has changed")
	}
	log.Info("configuration read again", attrs...)
}

// kept logs why the old configuration stays, a line for each problem.
func kept(log *slog.Logger, err error) error {
	for _, line := range strings.Split(err.Error(), "\n") {
		log.Error("configuration not taken, the old one stays", "err", line)
	}
	return err
}

// errNotYet answers a reload that comes before the program is ready.
var errNotYet = errors.New("still starting: try again in a moment")

// clientReload reads a running client's configuration again.
type clientReload struct {
	in       configs.Input
	side     *clientSide
	log      *logging.Logger
	service  *service
	desk     *clientDesktop
	system   string // system_proxy, or what the command line has in its place
	identity upstream.Identity

	mu  sync.Mutex // one reload at a time
	cfg *configs.Client
}

// reload puts what the configuration says now into effect, all of it or, with an error,
// nothing.
func (r *clientReload) reload() (*reloaded, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next, err := r.in.Client()
	if err != nil {
		return nil, kept(r.side.log, err)
	}
	parts, err := newClientParts(next)
	if err != nil {
		return nil, kept(r.side.log, err)
	}
	var result reloaded
	live := liveClient
	if r.cfg.Transport == upstream.TransportKernel { // whose paths are the system's business
		live = slices.DeleteFunc(slices.Clone(live), func(s string) bool { return s == "paths" })
	}
	result.sort(r.cfg.Changes(next), live)
	result.identityChange(r.identity, parts.upstream.Identity)
	if err := r.apply(&result, parts, next); err != nil {
		return nil, kept(r.side.log, err)
	}
	next.Keep(&r.cfg.Source, result.waiting())
	next.Transport = r.cfg.Transport
	r.cfg = next
	result.log(r.side.log)
	return &result, nil
}

// apply does what can fail for what the machine is doing first.
func (r *clientReload) apply(result *reloaded, p clientParts, next *configs.Client) error {
	moved, err := r.side.ports.replace(p.listen, p.mode)
	if err != nil {
		return inConfig(&next.Source, err)
	}
	if err := r.side.change(result, p); err != nil { // what newClientParts has accepted
		return err
	}
	if err := r.log.SetLevel(next.Log.Level); err != nil {
		return err
	}
	r.service.setDrain(next.Drain)
	if moved {
		r.follow()
	}
	return nil
}

// follow has the system's proxy name the ports that there are now.
func (r *clientReload) follow() {
	if err := r.desk.set(context.Background(), r.system, r.side); err != nil {
		r.log.Warn("system proxy does not follow socks.listen", "err", err)
	}
}

// change puts into effect what a client's parts have otherwise than before, but for ports.
func (c *clientSide) change(result *reloaded, p clientParts) error {
	if result.has("socks.") {
		err := c.front.Change(socks.FrontChange{Users: p.front.Users, AllowClients: p.front.AllowClients, Optimistic: p.front.Optimistic})
		if err != nil {
			return err
		}
	}
	if result.has("rules") {
		c.front.SetRoutes(p.front.Routes)
	}
	if c.admin != nil && (result.has("socks.") || result.has("rules")) {
		pac, err := pacFile(c.ports.addresses(), len(p.front.Users) > 0, p.front.Routes)
		if err != nil {
			return err
		}
		c.admin.SetPAC(pac)
	}
	if result.has("paths") {
		return c.up.SetPaths(p.upstream.Paths)
	}
	return nil
}

// readAgain answers the admin port.
func (c *clientSide) readAgain() (any, error) {
	if again := c.reload.Load(); again != nil {
		return (*again)()
	}
	return nil, errNotYet
}

// egressReload reads a running egress's configuration again.
type egressReload struct {
	in       configs.Input
	side     *egressSide
	log      *logging.Logger
	service  *service
	identity upstream.Identity

	mu  sync.Mutex // one reload at a time
	cfg *configs.Egress
}

// reload puts what the configuration says now into effect, all of it or, with an error,
// nothing.
func (r *egressReload) reload() (*reloaded, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next, err := r.in.Egress()
	if err != nil {
		return nil, kept(r.side.log, err)
	}
	parts, err := newEgressParts(next)
	if err != nil {
		return nil, kept(r.side.log, err)
	}
	var result reloaded
	result.sort(r.cfg.Changes(next), liveEgress)
	result.identityChange(r.identity, parts.upstream.Identity)
	if err := r.side.change(&result, parts); err != nil {
		return nil, kept(r.side.log, err)
	}
	if err := r.log.SetLevel(next.Log.Level); err != nil {
		return nil, kept(r.side.log, err)
	}
	r.service.setDrain(next.Drain)
	next.Keep(&r.cfg.Source, result.waiting())
	r.cfg = next
	result.log(r.side.log)
	return &result, nil
}

// change puts into effect what an egress's parts have otherwise than before.
func (e *egressSide) change(result *reloaded, p egressParts) error {
	if result.has("limits.") || result.has("clients") {
		e.socks.SetLimits(p.targets.Limits, p.targets.ClientLimits)
	}
	if result.has("targets.") {
		e.socks.SetTargets(p.targets.Targets)
	}
	if result.has("clients") {
		return e.up.SetClients(p.upstream.Clients) // newEgressParts has accepted them
	}
	return nil
}

// readAgain answers the admin port.
func (e *egressSide) readAgain() (any, error) {
	if again := e.reload.Load(); again != nil {
		return (*again)()
	}
	return nil, errNotYet
}

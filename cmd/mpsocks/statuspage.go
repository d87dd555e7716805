package main

import (
	"log/slog"
	"maps"
	"net/http"
	"slices"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/dashboard"
	"github.com/mpsocks/mpsocks/socks"
	"github.com/mpsocks/mpsocks/upstream"
)

// pageSide is the status page of a client or an egress. A nil one is none.
type pageSide struct {
	*dashboard.Page
	events *dashboard.Events
}

// newPageSide returns a page that hears what is logged by the logger it returns, or none if there is no port for it.
func newPageSide(cfg configs.Admin, log *slog.Logger) (*pageSide, *slog.Logger) {
	if cfg.Listen == "" {
		return nil, log
	}
	p := &pageSide{events: new(dashboard.Events)}
	return p, slog.New(p.events.Handler(log.Handler()))
}

// open begins to look at the program.
func (p *pageSide) open(cfg dashboard.Config) {
	if p == nil {
		return
	}
	cfg.Events, cfg.Version = p.events, versionText()
	p.Page = dashboard.New(cfg)
}

// handler serves the page; nil if there is none.
func (p *pageSide) handler() http.Handler {
	if p == nil {
		return nil
	}
	return p.Page
}

// close ends that. It comes before the admin port's end, which would wait for those who watch.
func (p *pageSide) close() {
	if p != nil && p.Page != nil {
		p.Close()
	}
}

// openPage has the client's page show its paths.
func (c *clientSide) openPage(log *slog.Logger) {
	c.page.open(dashboard.Config{
		Status: c.status, Logger: log,
		Conns: func() []dashboard.Conn { return pageConns(c.front.Conns()) },
		Counters: func() []dashboard.Counter {
			var out []dashboard.Counter
			for _, p := range c.up.Status().Paths {
				out = append(out, dashboard.Counter{Name: p.Name, Up: p.TxBytes, Down: p.RxBytes})
			}
			return out
		},
	})
}

// openPage has the egress's page show its clients.
func (e *egressSide) openPage(log *slog.Logger) {
	e.page.open(dashboard.Config{
		Status: e.status, Logger: log,
		Conns: func() []dashboard.Conn { return pageConns(e.socks.Conns()) },
		Counters: func() []dashboard.Counter {
			return clientCounters(e.up.Clients(), e.socks.Totals())
		},
	})
}

// clientCounters are what each client has carried; those that have carried nothing are there too.
func clientCounters(clients []upstream.ClientKey, totals map[string]socks.ConnTotals) []dashboard.Counter {
	names := make(map[string]bool)
	for _, c := range clients {
		names[c.Name] = true
	}
	var out []dashboard.Counter
	for _, name := range slices.Sorted(maps.Keys(names)) {
		out = append(out, dashboard.Counter{Name: name, Up: totals[name].Up, Down: totals[name].Down})
	}
	return out
}

func pageConns(list []socks.ConnStatus) []dashboard.Conn {
	out := make([]dashboard.Conn, len(list))
	for i, c := range list {
		out[i] = dashboard.Conn{ID: c.ID, Client: c.Client, Kind: c.Kind, Target: c.Target, Rule: c.Rule, Paths: c.Paths, Up: c.Up, Down: c.Down, Since: c.Since}
	}
	return out
}

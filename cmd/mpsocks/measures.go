package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/mpsocks/mpsocks/internal/metrics"
	"github.com/mpsocks/mpsocks/socks"
	"github.com/mpsocks/mpsocks/upstream"
)

// measures answers scrapes of the client.
func (c *clientSide) measures(log *slog.Logger) http.Handler {
	return metrics.New(func() metrics.Snapshot {
		st := c.up.Status()
		s := snapshotOf(st, c.front.UDP())
		s.Ready = clientReady(st) == nil
		s.Conns = connMetrics(c.front.Totals())
		for _, p := range st.Paths {
			s.Paths = append(s.Paths, pathMetrics(p))
		}
		return s
	}, log)
}

// canWork says why programs cannot reach anything through the client.
func (c *clientSide) canWork() error { return clientReady(c.up.Status()) }

func clientReady(st upstream.Status) error {
	switch {
	case st.Session.State == "up":
		return nil
	case st.Session.Reason != "":
		return fmt.Errorf("session %s: %s", st.Session.State, st.Session.Reason)
	}
	return fmt.Errorf("session %s", st.Session.State)
}

// measures answers scrapes of the egress.
func (e *egressSide) measures(log *slog.Logger) http.Handler {
	return metrics.New(func() metrics.Snapshot {
		st, counters, totals := e.up.Status(), e.up.Counters(), e.socks.Totals()
		s := snapshotOf(st, e.socks.UDP())
		s.Ready = e.canWork() == nil
		s.Links, s.Accepted, s.Refused = counters.Links, counters.Accepted, counters.Refused
		subflows := make(map[string]int)
		for _, p := range st.Paths {
			subflows[p.Client]++
		}
		for _, c := range e.up.Clients() {
			s.Clients = append(s.Clients, metrics.Client{Name: c.Name, Subflows: subflows[c.Name], Conns: connMetrics(totals[c.Name])})
		}
		s.Conns = connMetrics(sum(totals))
		return s
	}, log)
}

// canWork says why the egress takes no clients.
func (e *egressSide) canWork() error {
	if state := e.up.Status().Session.State; state != "listening" {
		return errors.New(state)
	}
	return nil
}

func snapshotOf(st upstream.Status, udp socks.UDPStats) metrics.Snapshot {
	s := metrics.Snapshot{
		Role: st.Role, Version: versionText(), State: st.Session.State, Transport: st.Session.Transport, Streams: st.Session.Streams,
		UDP: metrics.UDP{Associations: udp.Associations, Up: udp.Up, Down: udp.Down, Dropped: udp.Dropped},
	}
	s.EgressChanges = st.EgressChanges
	for _, e := range st.Egresses {
		s.Egresses = append(s.Egresses, metrics.Egress{Name: e.Name, Up: e.State == "up", InUse: e.InUse, RTT: fromMillis(e.RTTms), Streams: e.Streams})
	}
	if d := st.Datagrams; d != nil {
		s.Datagrams = map[string]uint64{
			"sent": d.Sent, "received": d.Received, "copied": d.Copies, "twice": d.Twice,
			"full": d.Full, "stale": d.Stale, "unread": d.Unread, "astray": d.Astray,
		}
	}
	return s
}

func pathMetrics(p upstream.PathStatus) metrics.Path {
	m := metrics.Path{
		Name: p.Name, State: p.State, Role: p.Role, RTT: fromMillis(p.RTTms), MinRTT: fromMillis(p.MinRTTms),
		Loss: p.Loss, Share: p.Share, Sent: p.TxBytes, Received: p.RxBytes,
	}
	if p.Cap != nil {
		m.Cap = &metrics.Cap{Limit: p.Cap.Limit, Used: p.Cap.Used}
	}
	return m
}

func fromMillis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

func connMetrics(t socks.ConnTotals) metrics.Conns {
	return metrics.Conns{Open: t.Open, Opened: t.Opened, Up: t.Up, Down: t.Down, Failed: t.Failed, Odd: t.Odd}
}

// sum adds the totals of all clients.
func sum(totals map[string]socks.ConnTotals) (all socks.ConnTotals) {
	for _, t := range totals {
		all.Open, all.Opened, all.Up, all.Down = all.Open+t.Open, all.Opened+t.Opened, all.Up+t.Up, all.Down+t.Down
		for why, n := range t.Failed {
			if all.Failed == nil {
				all.Failed = make(map[string]uint64)
			}
			all.Failed[why] += n
		}
	}
	return all
}

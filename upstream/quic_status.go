package upstream

import (
	"net"

	"github.com/quic-go/quic-go"
)

func (q *quicWay) status() Status {
	links, causes := q.links()
	st := Status{Role: "client", Session: q.sessionStatus(links, causes), Paths: []PathStatus{}}
	for _, l := range q.lines.all() {
		p := q.lines.status(l)
		p.RxBytes, p.TxBytes = l.rx.Load(), l.tx.Load()
		switch {
		case describeActive(links, l, &p):
		case p.State != stateDown && describeReady(links, l, &p): // one connection may know more than another
		case p.State == stateUp && len(links) == 0: // it answered, but there is no connection
			p.State, p.Reason = stateDown, st.Session.Reason
		case p.State == stateUp:
			p.State = stateStandby
		}
		p.Interface = q.lines.leavesBy(l, p.Local)
		st.Paths = append(st.Paths, p)
	}
	return st
}

// links returns the connections there are, and why others are not.
func (q *quicWay) links() (links []*quicLink, causes attempts) {
	for _, m := range q.all() {
		if k := m.current(); k != nil {
			k.account()
			links = append(links, k)
		} else if err := m.why(); err != nil {
			causes = append(causes, err)
		}
	}
	return links, causes
}

func (q *quicWay) sessionStatus(links []*quicLink, causes attempts) SessionStatus {
	st := SessionStatus{State: stateConnecting, Transport: q.cfg.Transport}
	for _, k := range links {
		st.Streams += int(k.streams.Load())
		if !k.silent.Load() {
			st.State = stateUp
		}
	}
	q.mu.Lock()
	ended := q.ended
	q.mu.Unlock()
	switch {
	case ended:
		st.State = stateClosed
	case st.State == stateUp:
	case len(links) > 0:
		st.State, st.Reason = stateDown, "no path answers"
	case len(causes) > 0:
		st.State, st.Reason = stateDown, causes.err().Error()
	}
	return st
}

// describeActive describes a line that some connection uses.
func describeActive(links []*quicLink, l *line, p *PathStatus) bool {
	for _, k := range links {
		k.mu.Lock()
		r := k.active
		k.mu.Unlock()
		if r.line != l {
			continue
		}
		p.Local, p.Remote, p.RTTms = r.local(), k.remote.String(), milliseconds(k.conn.ConnectionStats().SmoothedRTT)
		if p.State, p.Reason = stateUp, "in use"; k.silent.Load() {
			p.State, p.Reason = stateDown, errNoProbeAnswer.Error()
		}
		return true
	}
	return false
}

// describeReady describes a line that some connection can move to.
func describeReady(links []*quicLink, l *line, p *PathStatus) bool {
	for _, k := range links {
		k.mu.Lock()
		for _, r := range k.routes {
			if r.line == l && r.valid {
				p.State, p.Reason = stateStandby, "ready to take over"
				p.Local, p.Remote, p.RTTms = r.local(), k.remote.String(), milliseconds(r.rtt)
				k.mu.Unlock()
				return true
			}
		}
		k.mu.Unlock()
	}
	return false
}

// quicPath describes an egress's end of a client's connection.
func quicPath(name string, c *quic.Conn) PathStatus {
	st := c.ConnectionStats()
	return PathStatus{
		Name: name, State: stateUp, Role: RolePrimary, Local: addrText(c.LocalAddr()), Remote: addrText(c.RemoteAddr()),
		RTTms: milliseconds(st.SmoothedRTT), RxBytes: st.BytesReceived, TxBytes: st.BytesSent,
	}
}

// addrText is a with an IPv4 address as such.
func addrText(a net.Addr) string {
	if u, ok := a.(*net.UDPAddr); ok {
		return unmapped(u.AddrPort()).String()
	}
	return a.String()
}

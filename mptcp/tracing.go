package mptcp

import (
	"github.com/mpsocks/mpsocks/mptcp/internal/trace"
)

// The trace: the core tells what it decides, the driver adds what the core does not know: the time of day, and what sessions and paths are called.

// tracer is what takes the core's events; nil if nobody ever will. It is called with mu held.
func (s *Session) tracer() trace.Recorder {
	if s.cfg.Trace == nil {
		return nil
	}
	return func(e Event) {
		e.At, e.Session = s.epoch.Add(e.Time), s.id
		if e.Subflow != 0 {
			e.Path = s.pathOf(e.Subflow)
		}
		s.cfg.Trace(e)
	}
}

// pathOf is the name of a subflow's path; empty before the driver has it and after it is gone.
func (s *Session) pathOf(subflow int) string {
	for _, sf := range s.subs {
		if sf.core.ID() == subflow {
			return sf.name()
		}
	}
	return ""
}

// traced completes e and gives it to whoever listens. mu is held, or nobody else knows s yet.
func (s *Session) traced(e Event) {
	if s.cfg.Trace == nil || s.cfg.TraceOn != nil && !s.cfg.TraceOn() {
		return
	}
	e.Time, e.Session = s.now(), s.id
	e.At = s.epoch.Add(e.Time)
	s.cfg.Trace(e)
}

func (s *Session) traceStarted(client bool) {
	role := "egress"
	if client {
		role = "client"
	}
	attrs := []trace.Attr{trace.Str("role", role)}
	if s.peer != "" {
		attrs = append(attrs, trace.Str("client", s.peer))
	}
	s.traced(Event{Name: "session:started", Attrs: attrs})
}

// trace is for what happens to the subflow outside the core. mu is held.
func (sf *subflow) trace(name string, attrs ...trace.Attr) {
	all := append([]trace.Attr{trace.Num("addr_id", sf.core.AddrID())}, attrs...)
	sf.s.traced(Event{Path: sf.name(), Subflow: sf.core.ID(), Name: name, Attrs: all})
}

// traceAttached says which connection a subflow is.
func (sf *subflow) traceAttached() {
	c := sf.carrier.Conn
	sf.trace("subflow:attached", trace.Str("local", c.LocalAddr().String()), trace.Str("remote", c.RemoteAddr().String()))
}

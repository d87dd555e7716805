package main

import (
	"log/slog"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/tracelog"
	"github.com/mpsocks/mpsocks/mptcp"
)

// traceSide is where a program's sessions tell what they decide.
type traceSide struct {
	hub  *tracelog.Hub
	file *tracelog.File // nil: none
}

func openTrace(t configs.Trace, log *slog.Logger) (*traceSide, error) {
	s := &traceSide{hub: &tracelog.Hub{}}
	if t.File == "" {
		return s, nil
	}
	var err error
	s.file, err = s.hub.OpenFile(t.File, t.Size, log)
	return s, err
}

// of is c with a trace; c may be nil, for the defaults.
func (s *traceSide) of(c *mptcp.Config) *mptcp.Config {
	var out mptcp.Config
	if c != nil {
		out = *c
	}
	out.TraceOn = s.hub.On
	out.Trace = func(e mptcp.Event) {
		s.hub.Record(tracelog.Head{Name: e.Name, Session: e.Session, Path: e.Path}, e.AppendJSON)
	}
	return &out
}

// close writes what is left. Sessions have ended.
func (s *traceSide) close() {
	if s.file != nil {
		_ = s.file.Close() // what could not be written has been logged
	}
}

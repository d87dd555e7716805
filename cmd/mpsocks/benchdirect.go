package main

import (
	"context"
	"net"
	"net/netip"

	"github.com/mpsocks/mpsocks/bench"
	"github.com/mpsocks/mpsocks/bench/lab"
)

// directStage is no proxy at all: plain TCP to the target over one path. It is what a
// program has without us.
type directStage struct {
	lab  *lab.Lab
	from netip.Addr // chooses the path
}

func (s *directStage) Dial(ctx context.Context, target string) (net.Conn, error) {
	return s.lab.Client().DialFrom(ctx, net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.from, 0)), "tcp", target)
}

func (s *directStage) Usage() (client, egress bench.Usage) { return bench.Usage{}, bench.Usage{} }
func (s *directStage) ResetPeak()                          {}
func (s *directStage) PathBytes() []bench.PathBytes        { return nil }
func (s *directStage) Notes() []string                     { return nil }
func (s *directStage) Close() error                        { return nil }

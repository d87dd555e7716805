package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/bench"
)

func benchLoopbackCmd(e env) *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use:   "loopback",
		Short: "Measure what the program itself costs, on this machine's loopback",
		Long: "loopback starts an egress and a client as processes and measures without any line between\n" +
			"them: throughput of one stream, connections per second, time to first byte, processor time and\n" +
			"memory. It needs no rights and changes nothing on the machine. Beside the transports it measures\n" +
			"no proxy at all (none) and the SOCKS5 library alone, unencrypted and in one process (go-socks5).",
		Example: "  mpsocks bench loopback --out before\n" +
			"  mpsocks bench loopback --transport mptcp,tcp --workload download --runs 5 --json",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runBenchLoopback(c.Context(), e, f) },
	}
	f.add(c)
	return c
}

// loopbackWorkloads are what loopback measures unless it is told.
var loopbackWorkloads = []string{"download", "upload", "ttfb", "churn"}

// loopbackPaths are the names of the paths, as many as any transport uses.
var loopbackPaths = []string{"one", "two"}

func runBenchLoopback(ctx context.Context, e env, f benchFlags) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if f.workloads == nil {
		f.workloads = loopbackWorkloads
	}
	r, err := newRunner(e, f, loopbackTransports(self))
	if err != nil {
		return err
	}
	scene, log := bench.NewLoopback(loopbackPaths...), r.Logger
	r.Mode, r.Scenarios = bench.ModeLoopback, []*bench.Scenario{scene}
	r.Site = func(s *bench.Scenario, _ int) (bench.Site, error) { return bench.NewLoopbackSite(s, log) }
	return runBench(ctx, e, f, r)
}

// loopbackTransports are what can be compared on this machine, in the order of
// tables.
func loopbackTransports(self string) []bench.Transport {
	l := loopback{self: self}
	all := []bench.Transport{
		l.proxied("mptcp", "our session, two paths", "mptcp", 2),
		l.proxied("mptcp-1", "our session, one path", "mptcp", 1),
		l.proxied("tcp", "TLS over TCP", "tcp", 1),
	}
	if kernelMPTCP() {
		all = append(all, l.proxied("kernel", "TLS over the kernel's MPTCP", "kernel", 1))
	}
	return append(all,
		l.proxied("quic", "QUIC", "quic", 1),
		bench.Transport{Name: "go-socks5", Title: "the SOCKS5 library alone, one process, not encrypted", Open: l.openLibrary},
		bench.Transport{Name: "none", Title: "no proxy", Open: openNoProxy},
	)
}

// kernelMPTCP says whether connections of this machine can be the kernel's MPTCP.
func kernelMPTCP() bool {
	if runtime.GOOS != "linux" {
		return false
	}
	on, err := os.ReadFile("/proc/sys/net/mptcp/enabled")
	return err == nil && strings.TrimSpace(string(on)) == "1"
}

// proxied is a client and an egress with that many paths between them.
func (l loopback) proxied(name, title, transport string, paths int) bench.Transport {
	return bench.Transport{Name: name, Title: title, Open: func(ctx context.Context, e *bench.Env) (bench.Stage, error) {
		if paths > len(e.Order) {
			return nil, fmt.Errorf("%d paths: the scenario has %d", paths, len(e.Order))
		}
		return l.open(ctx, e, transport, paths)
	}}
}

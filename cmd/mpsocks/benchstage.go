package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mpsocks/mpsocks/bench"
	"github.com/mpsocks/mpsocks/bench/lab"
	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/upstream"
)

// The transports that are compared, in the order of tables. Those that the
// configuration does not know yet are left out.
var benchTitles = []struct{ name, title string }{
	{"mptcp", "our session, all paths"},
	{"kernel", "the kernel's MPTCP"},
	{"quic", "QUIC, one connection, the best path"},
	{"quic-multi", "QUIC, one connection a path, streams spread over them"},
	{"tcp", "TLS over TCP, one path at a time"},
}

// optimistic ends the name of a transport that is measured with socks.reply: optimistic.
const optimistic = "-optimistic"

// benchExtras are there to look at one thing alone: what a proxy costs or saves.
var benchExtras = []struct{ name, title string }{
	{"mptcp" + optimistic, "our session, answering before the target has"},
	{"direct", "TCP to the target without a proxy, the best path"},
}

// benchPolicies are our session by the other scheduling policies, on client and
// egress alike.
func benchPolicies() (all []struct{ name, title string }) {
	for _, policy := range configs.Schedulers {
		if policy != configs.DefaultScheduler {
			all = append(all, struct{ name, title string }{"mptcp+" + policy, "our session, scheduled by " + policy})
		}
	}
	return all
}

// benchTransports are the transports that this program has. self is its own
// file, which the stages start as client and egress.
func benchTransports(self string) []bench.Transport {
	var all []bench.Transport
	for _, t := range benchTitles {
		if transportKnown(t.name) {
			all = append(all, benchTransport(t.name, self))
		}
	}
	for _, t := range slices.Concat(benchExtras, benchPolicies()) {
		extra := benchTransport(t.name, self)
		extra.Title, extra.Extra = t.title, true
		all = append(all, extra)
	}
	return all
}

func benchTransport(name, self string) bench.Transport {
	title := name
	for _, t := range benchTitles {
		if t.name == name {
			title = t.title
		}
	}
	return bench.Transport{Name: name, Title: title, Open: func(ctx context.Context, e *bench.Env) (bench.Stage, error) {
		return openBenchStage(ctx, e, name, self)
	}}
}

// Addresses in the laboratory: the egress on an address of no path in
// particular, the client's ports in a namespace of their own.
const (
	benchEgress     = "10.99.0.1:8443"
	benchClientPort = "127.0.0.1:1080"
	benchTargets    = "10.0.0.0/8"
)

// benchStage is a client and an egress in the two namespaces of a laboratory.
type benchStage struct {
	lab            *lab.Lab
	transport      string
	client, egress *benchProcess
	before         mptcpCounts
	notes          []string
}

func openBenchStage(ctx context.Context, e *bench.Env, transport, self string) (bench.Stage, error) {
	if transport == "direct" {
		return &directStage{lab: e.Lab, from: e.Lab.Path(e.Order[0]).ClientAddr()}, nil
	}
	if err := writeBenchConfigs(e, transport); err != nil {
		return nil, err
	}
	s := &benchStage{lab: e.Lab, transport: transport}
	if transport == "kernel" {
		if err := e.Lab.EnableMPTCP(); err != nil {
			return nil, err
		}
	}
	var err error
	if s.egress, err = startProcess(ctx, e.Lab.Server().Command(context.WithoutCancel(ctx), self, "egress", "-c", filepath.Join(e.Dir, egressFile)), e.Logger); err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	if s.client, err = startProcess(ctx, e.Lab.Client().Command(context.WithoutCancel(ctx), self, "client", "-c", filepath.Join(e.Dir, clientFile)), e.Logger); err != nil {
		return nil, errors.Join(fmt.Errorf("client: %w", err), s.Close())
	}
	s.before = s.countMPTCP()
	return s, nil
}

// benchSettings are the values of transport, session.scheduler and socks.reply for
// a transport as bench calls it: mptcp, mptcp+minrtt, mptcp-optimistic.
func benchSettings(transport string) (name, policy, reply string) {
	name, reply = transport, "after-connect"
	if short, ok := strings.CutSuffix(transport, optimistic); ok {
		name, reply = short, "optimistic"
	}
	name, policy, _ = strings.Cut(name, "+")
	return name, cmp.Or(policy, configs.DefaultScheduler), reply
}

// writeBenchConfigs makes keys and both files.
func writeBenchConfigs(e *bench.Env, transport string) error {
	client, err := upstream.NewIdentity()
	if err != nil {
		return err
	}
	egress, err := upstream.NewIdentity()
	if err != nil {
		return err
	}
	var paths strings.Builder
	for _, i := range e.Order {
		p := e.Lab.Path(i)
		fmt.Fprintf(&paths, "  - {name: %q, source: %s}\n", p.Name(), p.ClientAddr())
	}
	clientText, egressText := benchConfigs(transport, paths.String(), client.Public(), egress.Public())
	if name, _, _ := benchSettings(transport); e.Trace != "" && name == "mptcp" { // the others decide nothing of the kind
		clientText += traceText(e.Trace + bench.TraceClient)
		egressText += traceText(e.Trace + bench.TraceEgress)
	}
	return errors.Join(
		client.Save(filepath.Join(e.Dir, clientKey)), egress.Save(filepath.Join(e.Dir, egressKey)),
		os.WriteFile(filepath.Join(e.Dir, clientFile), []byte(clientText), 0o600),
		os.WriteFile(filepath.Join(e.Dir, egressFile), []byte(egressText), 0o600),
	)
}

// benchConfigs are the texts of both files. They are the same for every transport
// but for its name, who schedules and when it answers.
func benchConfigs(transport, paths string, client, egress upstream.PublicKey) (clientText, egressText string) {
	name, policy, reply := benchSettings(transport)
	session := fmt.Sprintf("session: {scheduler: %s}\n", policy)
	clientText = fmt.Sprintf("socks: {listen: %q, reply: %s}\negress: {address: %q, key: %s}\nidentity: %s\ntransport: %s\npaths:\n%sadmin: {listen: off}\ndrain: 0s\n%s",
		benchClientPort, reply, benchEgress, egress, clientKey, name, paths, session)
	egressText = fmt.Sprintf("listen: %q\nquic: true\nidentity: %s\nclients: [{name: bench, key: %s}]\ntargets: {allow: [%s]}\nadmin: {listen: off}\ndrain: 0s\n%s",
		benchEgress, egressKey, client, benchTargets, session)
	return clientText, egressText
}

// benchTraceSize is room for every event of a turn of some minutes.
const benchTraceSize = "512MiB"

func traceText(file string) string {
	return fmt.Sprintf("trace: {file: %q, size: %s}\n", file, benchTraceSize)
}

func (s *benchStage) Dial(ctx context.Context, target string) (net.Conn, error) {
	return dialThroughSocks(ctx, target, func() (net.Conn, error) { return s.lab.Client().Dial(ctx, "tcp", benchClientPort) })
}

func (s *benchStage) Usage() (client, egress bench.Usage) {
	return bench.ProcessUsage(s.client.pid()), bench.ProcessUsage(s.egress.pid())
}

func (s *benchStage) ResetPeak() {
	bench.ResetProcessPeak(s.client.pid())
	bench.ResetProcessPeak(s.egress.pid())
}

// PathBytes is left to the laboratory, which sees every packet.
func (s *benchStage) PathBytes() []bench.PathBytes { return nil }

func (s *benchStage) Notes() []string {
	if s.transport != "kernel" {
		return s.notes
	}
	now := s.countMPTCP()
	return append(s.notes, now.since(s.before))
}

func (s *benchStage) Close() error {
	var errs []error
	for _, p := range []*benchProcess{s.client, s.egress} {
		if p != nil {
			errs = append(errs, p.stop())
		}
	}
	return errors.Join(errs...)
}

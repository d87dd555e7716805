package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mpsocks/mpsocks/bench"
	"github.com/mpsocks/mpsocks/upstream"
)

// loopback starts what is measured on this machine. self is the program's own file.
type loopback struct{ self string }

// loopbackStage is a client and an egress that meet on loopback.
type loopbackStage struct {
	liveStage
	egress *benchProcess
	kernel bool
	before mptcpCounts
}

func (l loopback) open(ctx context.Context, e *bench.Env, transport string, paths int) (bench.Stage, error) {
	keys, err := newLoopbackKeys(e.Dir)
	if err != nil {
		return nil, err
	}
	s := &loopbackStage{kernel: transport == "kernel", before: countHostMPTCP()}
	if s.egress, err = l.start(ctx, e, "egress", egressFile, keys.egressText()); err != nil {
		return nil, err
	}
	// With QUIC there is a second address of the same number.
	at, _, _ := strings.Cut(s.egress.readyWords()["listen"], ",")
	if s.client, err = l.start(ctx, e, "client", clientFile, keys.clientText(transport, at, paths)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	words := s.client.readyWords()
	s.socks, s.admin = words["socks"], words["admin"]
	return s, nil
}

// start writes the file of a client or an egress and starts it.
func (l loopback) start(ctx context.Context, e *bench.Env, verb, file, text string) (*benchProcess, error) {
	file = filepath.Join(e.Dir, file)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p, err := startProcess(ctx, exec.Command(l.self, verb, "-c", file), e.Logger)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", verb, err)
	}
	return p, nil
}

// loopbackKeys are the public keys of a client and an egress whose private ones
// are in files.
type loopbackKeys struct{ client, egress upstream.PublicKey }

func newLoopbackKeys(dir string) (k loopbackKeys, err error) {
	for _, x := range []struct {
		file string
		to   *upstream.PublicKey
	}{{clientKey, &k.client}, {egressKey, &k.egress}} {
		id, err := upstream.NewIdentity()
		if err != nil {
			return k, err
		}
		if err := id.Save(filepath.Join(dir, x.file)); err != nil {
			return k, err
		}
		*x.to = id.Public()
	}
	return k, nil
}

// egressText is the file of an egress that serves only this machine, as fast as
// the client likes.
func (k loopbackKeys) egressText() string {
	return fmt.Sprintf("listen: \"127.0.0.1:0\"\nquic: true\nidentity: %s\nclients: [{name: bench, key: %s}]\n"+
		"targets: {allow: [127.0.0.0/8]}\nlimits: {streams: off, sockets: off, dials: off}\n"+
		"admin: {listen: \"127.0.0.1:0\", profile: true}\ndrain: 0s\n", egressKey, k.client)
}

// clientText is the file of a client with that many paths, all of them loopback.
func (k loopbackKeys) clientText(transport, egress string, paths int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "socks: {listen: \"127.0.0.1:0\"}\negress: {address: %q, key: %s}\nidentity: %s\ntransport: %s\n"+
		"admin: {listen: \"127.0.0.1:0\", profile: true}\ndrain: 0s\npaths:\n", egress, k.egress, clientKey, transport)
	_, port, _ := strings.Cut(egress, ":") // of 127.0.0.1
	// Two paths must differ in something: these call the egress differently.
	for i, host := range []string{"127.0.0.1", "localhost"}[:paths] {
		fmt.Fprintf(&b, "  - {name: %s, source: 127.0.0.1, egress: [\"%s:%s\"]}\n", loopbackPaths[i], host, port)
	}
	return b.String()
}

// Usage is that of both processes, where the system tells.
func (s *loopbackStage) Usage() (client, egress bench.Usage) {
	return bench.ProcessUsage(s.client.pid()), bench.ProcessUsage(s.egress.pid())
}

func (s *loopbackStage) ResetPeak() {
	bench.ResetProcessPeak(s.client.pid())
	bench.ResetProcessPeak(s.egress.pid())
}

func (s *loopbackStage) Notes() []string {
	if !s.kernel {
		return nil
	}
	return []string{countHostMPTCP().since(s.before)}
}

func (s *loopbackStage) Close() error {
	var errs []error
	for _, p := range []*benchProcess{s.client, s.egress} {
		if p != nil {
			errs = append(errs, p.stop())
		}
	}
	return errors.Join(errs...)
}

// libraryStage is a SOCKS5 server that is nothing but the library.
type libraryStage struct{ liveStage }

func (l loopback) openLibrary(ctx context.Context, e *bench.Env) (bench.Stage, error) {
	p, err := startProcess(ctx, exec.Command(l.self, "bench", socks5Verb, "127.0.0.1:0"), e.Logger)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", socks5Verb, err)
	}
	return &libraryStage{liveStage{client: p, socks: p.readyWords()["socks"]}}, nil
}

// PathBytes is unknown: it has no paths.
func (s *libraryStage) PathBytes() []bench.PathBytes { return nil }

// noProxyStage is no proxy at all.
type noProxyStage struct{}

func openNoProxy(context.Context, *bench.Env) (bench.Stage, error) { return noProxyStage{}, nil }

func (noProxyStage) Dial(ctx context.Context, target string) (net.Conn, error) {
	var d net.Dialer
	d.SetMultipathTCP(false)
	return d.DialContext(ctx, "tcp", target)
}

func (noProxyStage) Usage() (client, egress bench.Usage) { return bench.Usage{}, bench.Usage{} }
func (noProxyStage) ResetPeak()                          {}
func (noProxyStage) PathBytes() []bench.PathBytes        { return nil }
func (noProxyStage) Notes() []string                     { return nil }
func (noProxyStage) Close() error                        { return nil }

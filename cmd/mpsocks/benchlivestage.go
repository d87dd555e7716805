package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/mpsocks/mpsocks/bench"
	"github.com/mpsocks/mpsocks/internal/admin"
	"github.com/mpsocks/mpsocks/socks"
)

// transport is one of the client's transports on the user's lines.
func (l *liveLines) transport(name, title string) bench.Transport {
	return bench.Transport{Name: name, Title: title, Open: func(ctx context.Context, e *bench.Env) (bench.Stage, error) {
		return l.open(ctx, e, l.way(e.Scenario), name)
	}}
}

// liveStage is a client of this machine; its egress is somewhere else.
type liveStage struct {
	client       *benchProcess
	socks, admin string // addresses of its ports
}

func (l *liveLines) open(ctx context.Context, e *bench.Env, w *liveWay, transport string) (*liveStage, error) {
	file := filepath.Join(e.Dir, clientFile)
	if err := os.WriteFile(file, []byte(w.text(transport, e.Order)), 0o600); err != nil {
		return nil, err
	}
	p, err := startProcess(ctx, exec.Command(l.self, "client", "-c", file), e.Logger)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	words := p.readyWords()
	return &liveStage{client: p, socks: words["socks"], admin: words["admin"]}, nil
}

func (s *liveStage) Dial(ctx context.Context, target string) (net.Conn, error) {
	return dialThroughSocks(ctx, target, func() (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", s.socks)
	})
}

// dialThroughSocks connects to a target through a SOCKS5 port that dial reaches.
func dialThroughSocks(ctx context.Context, target string, dial func() (net.Conn, error)) (net.Conn, error) {
	t, err := socks.ParseTarget(target)
	if err != nil {
		return nil, err
	}
	c, err := dial()
	if err != nil {
		return nil, err
	}
	h := socks.Handshake{Target: t}
	if _, err := h.Do(ctx, c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Usage knows the client alone; the egress's machine is another one.
func (s *liveStage) Usage() (client, egress bench.Usage) {
	return bench.ProcessUsage(s.client.pid()), bench.Usage{}
}

func (s *liveStage) ResetPeak() { bench.ResetProcessPeak(s.client.pid()) }

// paths asks the client for its paths.
func (s *liveStage) paths(ctx context.Context) ([]pathView, error) {
	answer, err := admin.Fetch(ctx, s.admin, "/paths")
	if err != nil {
		return nil, err
	}
	var paths []pathView
	return paths, json.Unmarshal(answer, &paths)
}

// askTime is how long a client may take to count its bytes.
const askTime = time.Second

func (s *liveStage) PathBytes() []bench.PathBytes {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	paths, err := s.paths(ctx)
	if err != nil {
		return nil // unknown
	}
	var all []bench.PathBytes
	for _, p := range paths {
		all = append(all, bench.PathBytes{Name: p.Name, Up: p.TX, Down: p.RX})
	}
	return all
}

func (s *liveStage) Notes() []string { return nil }

func (s *liveStage) Close() error { return s.client.stop() }

// liveSite is where the user is.
type liveSite struct{ scene *bench.Scenario }

func (s *liveSite) Env(order []int, dir string) *bench.Env {
	return &bench.Env{Scenario: s.scene, Order: order, Dir: dir}
}

func (s *liveSite) Target() string { return bench.ServiceTarget }

// errOwnLines is what happens to wishes about real lines.
var errOwnLines = errors.New("these lines are not emulated")

func (s *liveSite) Cut(int) error                { return errOwnLines }
func (s *liveSite) Heal(int) error               { return errOwnLines }
func (s *liveSite) Do(string) error              { return errOwnLines }
func (s *liveSite) Restore() error               { return nil }
func (s *liveSite) PathBytes() []bench.PathBytes { return nil }
func (s *liveSite) Quiet() bool                  { return true }
func (s *liveSite) CPU() time.Duration           { return 0 }
func (s *liveSite) Close() error                 { return nil }

// addrOf is the address in the text of a socket's address.
func addrOf(local string) (netip.Addr, error) {
	if ap, err := netip.ParseAddrPort(local); err == nil {
		return ap.Addr().Unmap(), nil
	}
	return netip.ParseAddr(local)
}

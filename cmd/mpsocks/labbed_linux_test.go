package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/bench/lab"
	"github.com/mpsocks/mpsocks/internal/units"
)

// Addresses in a bed. Its namespaces are its own, so they can be the same in all.
const (
	labSocks       = "127.0.0.1:1080"
	labClientAdmin = "127.0.0.1:1090"
	labEgress      = "10.99.0.1:8443"
	labServer      = "10.99.0.1"
	labTarget      = labServer + ":80"
)

// bedConfig says what a bed is like.
type bedConfig struct {
	paths       []string      // as lab.ParsePath reads them
	byInterface bool          // the client's paths are bound to interfaces, not to sources
	more        string        // lines for both configuration files
	auto        bool          // the client finds its paths
	transport   string        // empty: the default
	slow        time.Duration // how long paths may take to be up; 0 is patience
}

// bed is a path laboratory with an egress and a target on one side, a client on
// the other.
type bed struct {
	owner       *testing.T // at whose end all ends
	lab         *lab.Lab
	dir         string
	egress      *program
	client      *program
	target      *labTargetServer
	egressStart []string // words before the egress's command line
	slow        time.Duration
	kernel      bool // the transport has one path, whatever the lab has
}

var bedNumber atomic.Int32

// newBed sets everything up as a person would: init, join, egress, client.
func newBed(t *testing.T, cfg bedConfig) *bed {
	t.Helper()
	b := &bed{owner: t, lab: newLab(t, cfg.paths), dir: t.TempDir(), slow: cmp.Or(cfg.slow, patience)}
	b.target = newLabTarget(t, b.lab.Server())
	b.egressStart = fakeResolver(t, b)

	link := runProgram(t, b.lab.Server(), "init", "--dir", b.file("egress"), "--address", labEgress, "--client", "laptop")
	runProgram(t, b.lab.Client(), "join", strings.TrimSpace(link), "--dir", b.file("client"))
	edit(t, b.file("egress", egressFile), "#targets:", "targets: {allow: [10.0.0.0/8]}\n"+cfg.more+"#targets:")
	list := "paths: auto"
	if !cfg.auto {
		list = b.paths(cfg.byInterface)
	}
	edit(t, b.file("client", clientFile), "paths: auto", cfg.more+list)
	if cfg.transport != "" {
		edit(t, b.file("client", clientFile), "#transport: mptcp", "transport: "+cfg.transport+"\n#transport: mptcp")
	}
	if cfg.transport == "kernel" {
		b.kernel = true
		if err := b.lab.EnableMPTCP(); err != nil {
			t.Fatal(err)
		}
	}
	b.startEgress(t)
	b.startClient(t)
	return b
}

// newLab builds a lab or skips the test, saying why.
func newLab(t *testing.T, specs []string) *lab.Lab {
	t.Helper()
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	// Names of network namespaces are the machine's.
	cfg := lab.Config{Name: fmt.Sprintf("e2e%d-%d", os.Getpid(), bedNumber.Add(1))}
	for _, spec := range specs {
		p, err := lab.ParsePath(spec)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Paths = append(cfg.Paths, p)
	}
	l, err := lab.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, p := range l.Paths() {
				t.Log(p.Stats())
			}
		}
		if err := l.Close(); err != nil && !errors.Is(err, lab.ErrClosed) {
			t.Error(err)
		}
	})
	return l
}

// file names a file of the bed.
func (b *bed) file(names ...string) string {
	return filepath.Join(append([]string{b.dir}, names...)...)
}

// paths is the client's list of paths.
func (b *bed) paths(byInterface bool) string {
	list := "paths:\n"
	for _, p := range b.lab.Paths() {
		by := "source: " + p.ClientAddr().String()
		if byInterface {
			by = "interface: " + p.Name()
		}
		list += fmt.Sprintf("  - {name: %s, %s}\n", p.Name(), by)
	}
	return list
}

func (b *bed) startEgress(t *testing.T) {
	t.Helper()
	b.egress = startProgram(t, b.owner, b.lab.Server(), b.egressStart, "egress", "-c", b.file("egress", egressFile))
	b.egress.line(t, " ready ")
}

// startClient starts the client and waits until every path is up.
func (b *bed) startClient(t *testing.T) {
	t.Helper()
	b.client = startProgram(t, b.owner, b.lab.Client(), nil, "client", "-c", b.file("client", clientFile))
	if at := words(b.client.line(t, " ready "))["socks"]; at != labSocks {
		t.Fatalf("client listens on %s, want %s", at, labSocks)
	}
	took := b.allUp(t)
	t.Logf("all paths up %v after ready", round(took))
}

// allUp waits until every path of the client is up.
func (b *bed) allUp(t *testing.T) time.Duration {
	t.Helper()
	return within(t, b.slow, "every path up", func() bool {
		s := b.status(t)
		for _, p := range s.Paths {
			if p.State != "up" {
				return false
			}
		}
		return s.Session.State == "up" && (b.kernel || len(s.Paths) == len(b.lab.Paths()))
	})
}

// status asks the client.
func (b *bed) status(t *testing.T) statusView {
	t.Helper()
	tr := &http.Transport{DialContext: b.lab.Client().Dial, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr, Timeout: patience}).Get("http://" + labClientAdmin + "/status")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var s statusView
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// pathStatus asks the client about path i.
func (b *bed) pathStatus(t *testing.T, i int) pathView {
	t.Helper()
	p := b.status(t).path(b.lab.Path(i).Name())
	if p.Name == "" {
		t.Fatalf("the client has no path %s", b.lab.Path(i).Name())
	}
	return p
}

// path finds a path by its name.
func (s statusView) path(name string) pathView {
	for _, p := range s.Paths {
		if p.Name == name {
			return p
		}
	}
	return pathView{}
}

// String shows what matters while things go wrong.
func (p pathView) String() string {
	return fmt.Sprintf("%s %s (%s) rtt %s sent %s received %s", p.Name, p.State, p.Reason, millis(p.RTT), units.Size(p.TX), units.Size(p.RX))
}

// dial connects from the client's side of the lab.
func (b *bed) dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := b.lab.Client().Dial(ctx, "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

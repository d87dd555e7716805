package bench

import (
	"errors"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/mpsocks/mpsocks/bench/lab"
)

// loopbackTime is how long a loopback's workloads are, of the usual: there is no
// round trip for a transfer to get going over.
const loopbackTime = 0.5

// NewLoopback returns the scenario without lines: both of its paths are this
// machine's loopback, so that what is measured is what programs cost. names are
// those of the paths.
func NewLoopback(names ...string) *Scenario {
	s := &Scenario{
		Name: ModeLoopback, Title: "This machine's loopback, no lines",
		Why: "What the program itself costs: processor time is the only limit, and both ends and the target share it.",
		Cut: -1, Scale: Scale{Time: loopbackTime},
	}
	for i, name := range names {
		s.Order = append(s.Order, i)
		s.Specs = append(s.Specs, "")
		s.Paths = append(s.Paths, lab.Path{Name: name})
	}
	return s
}

// loopbackSite is this machine, with a target on a port of its loopback.
type loopbackSite struct {
	scenario *Scenario
	target   *Target
	addr     string
	served   chan error
}

// NewLoopbackSite starts a target on a loopback port, which other programs of this
// machine could reach too while it lasts.
func NewLoopbackSite(s *Scenario, log *slog.Logger) (Site, error) {
	ln, err := ListenLoopback()
	if err != nil {
		return nil, err
	}
	ls := &loopbackSite{scenario: s, target: NewTarget(TargetConfig{Logger: log}), addr: ln.Addr().String(), served: make(chan error, 1)}
	go ls.serve(ln)
	return ls, nil
}

func (ls *loopbackSite) serve(ln net.Listener) { ls.served <- ls.target.Serve(ln) }

func (ls *loopbackSite) Env(order []int, dir string) *Env {
	return &Env{Scenario: ls.scenario, Order: slices.Clone(order), Dir: dir}
}

func (ls *loopbackSite) Target() string { return ls.addr }

// errNoLines is what happens to wishes about lines.
var errNoLines = errors.New("loopback has no lines to change")

func (ls *loopbackSite) Cut(int) error          { return errNoLines }
func (ls *loopbackSite) Heal(int) error         { return errNoLines }
func (ls *loopbackSite) Do(string) error        { return errNoLines }
func (ls *loopbackSite) Restore() error         { return nil }
func (ls *loopbackSite) PathBytes() []PathBytes { return nil }
func (ls *loopbackSite) Quiet() bool            { return true }
func (ls *loopbackSite) CPU() time.Duration     { return 0 }

func (ls *loopbackSite) Close() error {
	return errors.Join(ls.target.Close(), <-ls.served)
}

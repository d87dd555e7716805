package bench

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/mpsocks/mpsocks/bench/lab"
)

// labSite is a path laboratory with a target in its server's namespace.
type labSite struct {
	scenario *Scenario
	lab      *lab.Lab
	links    [][2]lab.Link // as they were: up, down
	target   *Target
	addr     string
	served   chan error
}

// targetAddr is an address of the server that does not belong to a path.
const targetAddr = "10.99.0.1:0"

// NewLabSite builds a laboratory for a scenario and starts a target in it.
func NewLabSite(s *Scenario, seed uint64, log *slog.Logger) (Site, error) {
	l, err := lab.New(lab.Config{Paths: s.Paths, Sysctls: s.Sysctls, Seed: seed, Logger: log})
	if err != nil {
		return nil, err
	}
	ls := &labSite{scenario: s, lab: l, target: NewTarget(TargetConfig{Logger: log}), served: make(chan error, 1)}
	for _, p := range l.Paths() {
		ls.links = append(ls.links, [2]lab.Link{p.Link(lab.Uplink), p.Link(lab.Downlink)})
	}
	ln, err := l.Server().Listen("tcp", targetAddr)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	ls.addr = ln.Addr().String()
	go ls.serve(ln)
	return ls, nil
}

func (ls *labSite) serve(ln net.Listener) { ls.served <- ls.target.Serve(ln) }

func (ls *labSite) Env(order []int, dir string) *Env {
	return &Env{Scenario: ls.scenario, Lab: ls.lab, Order: slices.Clone(order), Dir: dir}
}

func (ls *labSite) Target() string { return ls.addr }

func (ls *labSite) Cut(path int) error { return ls.lab.Path(path).SetDown(lab.BothWays) }

func (ls *labSite) Heal(path int) error { return ls.lab.Path(path).SetUp(lab.BothWays) }

func (ls *labSite) Do(event string) error {
	_, err := ls.lab.Run(event)
	return err
}

// Restore makes every line what it was. Interfaces that are up and addresses
// that are right already are not touched: even that could disturb.
func (ls *labSite) Restore() error {
	var errs []error
	for i, p := range ls.lab.Paths() {
		errs = append(errs, p.SetUp(lab.BothWays))
		for j, d := range []lab.Direction{lab.Uplink, lab.Downlink} {
			if p.Link(d) != ls.links[i][j] {
				errs = append(errs, p.SetLink(d, ls.links[i][j]))
			}
		}
		if ls.moves(p.Name(), i, "ifdown") {
			errs = append(errs, p.IfUp())
		}
	}
	return errors.Join(errs...)
}

// moves says whether an event of the scenario does verb to a path.
func (ls *labSite) moves(name string, i int, verb string) bool {
	return slices.ContainsFunc(ls.scenario.Events, func(e Event) bool {
		return e.Do == verb+" "+name || e.Do == fmt.Sprint(verb, " ", i) || e.Do == verb+" all"
	})
}

func (ls *labSite) PathBytes() []PathBytes {
	var all []PathBytes
	for _, p := range ls.lab.Paths() {
		s := p.Stats()
		all = append(all, PathBytes{Name: p.Name(), Up: s.Up.OutBytes, Down: s.Down.OutBytes})
	}
	return all
}

func (ls *labSite) Quiet() bool {
	for _, p := range ls.lab.Paths() {
		if s := p.Stats(); s.Up.Queued+s.Down.Queued > 0 {
			return false
		}
	}
	return true
}

func (ls *labSite) CPU() time.Duration {
	d, _ := ls.lab.EmulatorCPU() // unknown is none
	return d
}

func (ls *labSite) Close() error {
	err := ls.target.Close()
	return errors.Join(err, <-ls.served, ls.lab.Close())
}

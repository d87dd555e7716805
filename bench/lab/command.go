package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Commands describes what Lab.Run understands, for people.
const Commands = `P is a path's number (from 0), its name, or all; DIR is up, down or both (the default).
  down P [DIR]          silent blackhole
  up P [DIR]            end of the blackhole
  rate P RATE [DIR]     5M, 200k; 0 is unlimited
  rtt P TIME            round trip, half of it each way
  delay P TIME [DIR]    one way
  loss P SHARE [DIR]    1% or 0.01
  jitter, burst, queue, police, reorder, duplicate, corrupt, biterror, mtu P VALUE [DIR]
  refuse P on|off [DIR] reset whoever opens a TCP connection
  ifdown P, ifup P      the client's interface
  addr P ADDRESS        new address of the client in the path's network
  reset P               reset every TCP connection seen on the path
  stats [P]             counters
  cpu                   processor time of the emulator so far`

// Run carries out one command line and returns what it has to say.
func (l *Lab) Run(line string) (string, error) {
	if strings.TrimSpace(line) == "cpu" {
		used, err := l.EmulatorCPU()
		return fmt.Sprintln("emulator cpu", used.Round(time.Millisecond)), err
	}
	c, err := l.parse(line)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, p := range c.paths {
		s, err := c.do(p)
		if err != nil {
			return out.String(), fmt.Errorf("%s: %w", c.name, err)
		}
		out.WriteString(s)
	}
	return out.String(), nil
}

// action is what a command does to each of its paths.
type action func(*PathControl) (string, error)

// command is a command line understood.
type command struct {
	name  string
	paths []*PathControl
	do    action
}

// parse reads a command line; an empty one does nothing.
func (l *Lab) parse(line string) (c command, err error) {
	f := strings.Fields(line)
	if len(f) == 0 {
		return c, nil
	}
	if f[0] == "stats" && len(f) == 1 {
		f = append(f, "all")
	}
	if len(f) < 2 {
		return c, fmt.Errorf("%s: which path?", f[0])
	}
	c.name = f[0] + " " + f[1]
	if c.paths, err = l.find(f[1]); err == nil {
		c.do, err = parseAction(f[0], f[2:])
	}
	if err != nil {
		return c, fmt.Errorf("%s: %w", f[0], err)
	}
	return c, nil
}

// find returns the paths that a command means.
func (l *Lab) find(s string) ([]*PathControl, error) {
	if s == "all" {
		return l.paths, nil
	}
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n < len(l.paths) {
		return l.paths[n : n+1], nil
	}
	i := slices.IndexFunc(l.paths, func(p *PathControl) bool { return p.Name() == s })
	if i < 0 {
		return nil, fmt.Errorf("path %q: there is none", s)
	}
	return l.paths[i : i+1], nil
}

// plainActions take no argument.
var plainActions = map[string]action{
	"stats":  func(p *PathControl) (string, error) { return p.Stats().String(), nil },
	"ifdown": func(p *PathControl) (string, error) { return "", p.IfDown() },
	"ifup":   func(p *PathControl) (string, error) { return "", p.IfUp() },
	"reset":  func(p *PathControl) (string, error) { return "", p.ResetConnections() },
}

func parseAction(verb string, args []string) (action, error) {
	if a, ok := plainActions[verb]; ok {
		if len(args) > 0 {
			return nil, fmt.Errorf("%q: too much", strings.Join(args, " "))
		}
		return a, nil
	}
	if verb == "down" || verb == "up" {
		d, err := direction(args, 0)
		set := (*PathControl).SetUp
		if verb == "down" {
			set = (*PathControl).SetDown
		}
		return func(p *PathControl) (string, error) { return "", set(p, d) }, err
	}
	if _, ok := linkKeys[verb]; !ok && verb != "addr" {
		return nil, errors.New("no such command")
	}
	if len(args) == 0 {
		return nil, errors.New("value missing")
	}
	if verb == "addr" {
		a, err := netip.ParseAddr(args[0])
		return func(p *PathControl) (string, error) { return "", p.SetAddr(a) }, err
	}
	d, err := direction(args, 1)
	if err == nil {
		err = new(Link).set(verb, args[0])
	}
	return func(p *PathControl) (string, error) {
		return "", p.Change(d, func(l *Link) error { return l.set(verb, args[0]) })
	}, err
}

// direction reads the optional direction in args[i], which must be the last.
func direction(args []string, i int) (Direction, error) {
	if len(args) <= i {
		return BothWays, nil
	}
	if len(args) == i+1 {
		for _, d := range []Direction{Uplink, Downlink, BothWays} {
			if args[i] == d.String() {
				return d, nil
			}
		}
	}
	return 0, fmt.Errorf("%q: want up, down or both", strings.Join(args[i:], " "))
}

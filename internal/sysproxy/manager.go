package sysproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Target is where programs are to go.
type Target struct {
	PAC        string   // URL of a proxy auto-configuration file; or, when empty:
	Host, Port string   // the SOCKS port. Always given: whether it answers tells a running client
	Bypass     []string // hosts and networks that are not to go there, where there is no PAC
}

func (t Target) String() string {
	if t.PAC != "" {
		return t.PAC
	}
	return "socks " + net.JoinHostPort(t.Host, t.Port)
}

// Owner is who has set the proxy, and will put back what was there.
type Owner string

const (
	ByHand   Owner = "person" // until a person says off
	ByClient Owner = "client" // until the client ends
)

// value is what a key has; the zero value is a key that is not set.
type value struct {
	Text string `json:"text"`
	Set  bool   `json:"set"`
}

func is(text string) value { return value{text, true} }

// values are all that a change may concern.
type values map[string]value

// aim is a value that a key is to get.
type aim struct {
	key string
	to  value
}

// desktop is one place where programs look for a proxy. Its methods may run
// commands, and end with ctx.
type desktop interface {
	name() string
	// read returns the present values.
	read(ctx context.Context) (values, error)
	// aims are the values for a target, in the order in which they are to be set.
	aims(t Target, now values) []aim
	// none are values with which no proxy is used.
	none(now values) []aim
	// write sets or unsets one value.
	write(ctx context.Context, key string, v value) error
	// announce tells running programs.
	announce(ctx context.Context) error
	// describe is the setting in words; empty: no proxy.
	describe(now values) string
}

// Manager sets the proxy of the desktops of this machine.
type Manager struct {
	find    func() []desktop // asked when there is something to do
	file    string           // of the state
	answers func(ctx context.Context, address string) bool
}

// errNoDesktop is a machine whose programs look nowhere that is known.
var errNoDesktop = errors.New("no proxy setting of a desktop found (GNOME's gsettings, KDE's kwriteconfig); `mpsocks env` is for shells")

// New returns the manager of this machine, with its state in the usual place.
func New() (*Manager, error) {
	file, err := stateFile()
	if err != nil {
		return nil, fmt.Errorf("system proxy: %w", err)
	}
	return &Manager{find: func() []desktop { return desktops(system{}) }, file: file, answers: dials}, nil
}

// On has programs go to t. When it fails, what was there before is there again.
func (m *Manager) On(ctx context.Context, t Target, by Owner) error {
	desktops := m.find()
	if len(desktops) == 0 {
		return errNoDesktop
	}
	old, err := m.load()
	if err != nil {
		return err
	}
	if old != nil {
		// What is left of an earlier time is taken back first, so that it is not
		// remembered as what was there before.
		if _, err := m.Off(ctx); err != nil {
			return err
		}
		if old.Owner == ByHand {
			by = ByHand
		}
	}
	s := &state{Owner: by, Proxy: net.JoinHostPort(t.Host, t.Port)}
	for _, d := range desktops {
		now, err := d.read(ctx)
		if err != nil {
			return fmt.Errorf("system proxy: %s: %w", d.name(), err)
		}
		s.Desktops = append(s.Desktops, changed{d.name(), changes(d, t, now)})
	}
	if err := m.save(s); err != nil {
		return err
	}
	if err := apply(ctx, desktops, s); err != nil {
		_, undo := m.Off(context.WithoutCancel(ctx))
		return errors.Join(err, undo)
	}
	return nil
}

// changes are what has to change for t. Where t is in force already, and nobody
// remembers what was before, that was no proxy.
func changes(d desktop, t Target, now values) []change {
	before := now
	aims := d.aims(t, now)
	isOurs := len(aims) > 0
	for _, a := range aims {
		isOurs = isOurs && now[a.key] == a.to
	}
	if isOurs {
		before = make(values)
		for _, a := range d.none(now) {
			before[a.key] = a.to
		}
	}
	all := make([]change, len(aims))
	for i, a := range aims {
		all[i] = change{a.key, before[a.key], a.to}
	}
	return all
}

// apply makes the changes of s, and looks whether they have been made.
func apply(ctx context.Context, desktops []desktop, s *state) error {
	for i, d := range desktops {
		for _, c := range s.Desktops[i].Changes {
			if err := d.write(ctx, c.Key, c.To); err != nil {
				return fmt.Errorf("system proxy: %s: set %s: %w", d.name(), c.Key, err)
			}
		}
		now, err := d.read(ctx)
		if err != nil {
			return fmt.Errorf("system proxy: %s: %w", d.name(), err)
		}
		for _, c := range s.Desktops[i].Changes {
			if now[c.Key] != c.To {
				return fmt.Errorf("system proxy: %s: set %s to %s, and it is %s: is this the session of a desktop?", d.name(), c.Key, c.To, now[c.Key])
			}
		}
		if err := d.announce(ctx); err != nil {
			return fmt.Errorf("system proxy: %s: tell programs: %w", d.name(), err)
		}
	}
	return nil
}

func (v value) String() string {
	if !v.Set {
		return "(not set)"
	}
	return v.Text
}

// Restored says what Off has done.
type Restored struct {
	Any  bool     // something was in force
	Left []string // keys that somebody else has changed since, and which stay
}

// Off puts back what was there before On. Without an On there is nothing to do.
func (m *Manager) Off(ctx context.Context) (Restored, error) {
	s, err := m.load()
	if s == nil || err != nil {
		return Restored{}, err
	}
	r := Restored{Any: true}
	desktops := m.find()
	for _, c := range s.Desktops {
		d := named(desktops, c.Name)
		if d == nil {
			return r, fmt.Errorf("system proxy: cannot restore %s from here: its commands are not found; the former values stand in %s", c.Name, m.file)
		}
		left, err := restore(ctx, d, c.Changes)
		if err != nil {
			return r, fmt.Errorf("system proxy: %s: %w; the former values stand in %s", c.Name, err, m.file)
		}
		r.Left = append(r.Left, left...)
	}
	return r, m.remove()
}

// restore takes changes back, in the order in which they were made: an address comes
// before the switch that turns it on, because some systems turn it on by themselves.
func restore(ctx context.Context, d desktop, all []change) (left []string, err error) {
	now, err := d.read(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		v, there := now[c.Key]
		switch {
		case v == c.From, !there && c.To.Set:
		case v != c.To:
			left = append(left, d.name()+": "+c.Key)
		default:
			if err := d.write(ctx, c.Key, c.From); err != nil {
				return left, fmt.Errorf("restore %s: %w", c.Key, err)
			}
		}
	}
	return left, d.announce(ctx)
}

func named(desktops []desktop, name string) desktop {
	for _, d := range desktops {
		if d.name() == name {
			return d
		}
	}
	return nil
}

// Release is Off for a client that ends: what a person has set stays.
func (m *Manager) Release(ctx context.Context) error {
	s, err := m.load()
	if err != nil || s == nil || s.Owner != ByClient {
		return err
	}
	_, err = m.Off(ctx)
	return err
}

// Recover is Release after a client that could not do it itself. A client that still
// answers keeps its setting.
func (m *Manager) Recover(ctx context.Context) (recovered bool, err error) {
	s, err := m.load()
	if err != nil || s == nil || s.Owner != ByClient || m.answers(ctx, s.Proxy) {
		return false, err
	}
	_, err = m.Off(ctx)
	return err == nil, err
}

// Line is the setting of one desktop in words.
type Line struct {
	Desktop string
	Setting string // empty: no proxy
	Ours    bool   // set from here
	Owner   Owner  // who set it, if it is ours
}

// Status says how every desktop is set.
func (m *Manager) Status(ctx context.Context) ([]Line, error) {
	desktops := m.find()
	if len(desktops) == 0 {
		return nil, errNoDesktop
	}
	s, err := m.load()
	if err != nil {
		return nil, err
	}
	var lines []Line
	for _, d := range desktops {
		now, err := d.read(ctx)
		if err != nil {
			return nil, fmt.Errorf("system proxy: %s: %w", d.name(), err)
		}
		l := Line{Desktop: d.name(), Setting: strings.TrimSpace(d.describe(now))}
		if c := s.of(d.name()); c != nil {
			l.Ours, l.Owner = true, s.Owner
			for _, change := range c {
				l.Ours = l.Ours && now[change.Key] == change.To
			}
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// dialTime is how long a port of this machine may take to answer.
const dialTime = time.Second

func dials(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

package main

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/mptcp"
	"github.com/mpsocks/mpsocks/socks"
	"github.com/mpsocks/mpsocks/upstream"
)

// loadIdentity reads the key file that a configuration names. Its error names
// the line that names the file.
func loadIdentity(src *configs.Source, file string) (upstream.Identity, error) {
	id, err := upstream.LoadIdentity(file)
	if err != nil {
		return id, src.Problem("identity", err.Error())
	}
	return id, nil
}

// sessionMemory is what one session gets at most: enough for a gigabit per second
// over half a second.
const sessionMemory = 64 << 20

// Bounds of autoMemory: a sixteenth of the machine, within what is of any use.
const (
	minAutoMemory = 16 << 20
	maxAutoMemory = 512 << 20
)

// autoMemory is what data on its way may take when nobody says.
func autoMemory() int64 {
	return min(max(machineMemory()/16, minAutoMemory), maxAutoMemory)
}

// sessionConfig maps what both sides may say about sessions. Off is negative
// on both sides of the mapping.
func sessionConfig(s configs.Session, u configs.UDP, memory int64) *mptcp.Config {
	if memory == 0 {
		memory = autoMemory()
	}
	total := int(min(memory, math.MaxInt)) // 32-bit machines count to 2 GiB
	congestion := s.Congestion
	switch congestion {
	case configs.DefaultCongestion:
		congestion = mptcp.CongestionAuto
	case configs.SystemCongestion:
		congestion = ""
	}
	return &mptcp.Config{
		Linger: s.Linger, Congestion: congestion, Scheduler: s.Scheduler, Establish: s.Establish, AllowV0: s.AllowV0,
		Memory: min(total, sessionMemory), Budget: total,
		RedundantDatagrams: u.Redundant,
	}
}

// clientConfig maps the client's file to what reaches the egress.
func clientConfig(c *configs.Client) (upstream.ClientConfig, error) {
	foreign, err := foreignServer(c)
	if err != nil {
		return upstream.ClientConfig{}, err
	}
	var id upstream.Identity
	if foreign == "" {
		if id, err = loadIdentity(&c.Source, c.Identity); err != nil {
			return upstream.ClientConfig{}, err
		}
	}
	u := upstream.ClientConfig{
		Egress:    c.Egress.Address,
		EgressKey: upstream.PublicKey(c.Egress.Key),
		PinFile:   c.Egress.Pin,
		Instances: c.Egress.Instances,
		Identity:  id,
		Transport: c.Transport,
		Mode:      c.Mode,
		Usage:     c.Usage,
		Session:   sessionConfig(c.Session, c.UDP.UDP, c.Memory),
		Fallback:  c.Session.Fallback,
	}
	u.EgressName, u.Choose = c.Egress.Name, c.Egress.Choose
	if u.Others, err = otherEgresses(c); err != nil {
		return upstream.ClientConfig{}, err
	}
	for _, p := range c.Paths {
		u.Paths = append(u.Paths, upstream.PathConfig{
			Name: p.Name, Interface: p.Interface, Source: p.Source, Egress: p.Egress, Role: p.Role,
			Cost: p.Cost, RateLimit: p.RateLimit, Cap: p.Cap, CapStart: p.CapStart,
		})
	}
	if foreign != "" {
		u.Plain, u.Egress = true, []string{foreign}
	}
	return u, nil
}

// otherEgresses maps egress.others.
func otherEgresses(c *configs.Client) (all []upstream.AnotherEgress, err error) {
	for i, o := range c.Egress.Others {
		e := upstream.AnotherEgress{Name: o.Name, Egress: o.Address, EgressKey: upstream.PublicKey(o.Key), Instances: o.Instances}
		if o.Identity != "" {
			if e.Identity, err = upstream.LoadIdentity(o.Identity); err != nil {
				return nil, c.Problem(fmt.Sprintf("egress.others[%d].identity", i), err.Error())
			}
		}
		all = append(all, e)
	}
	return all, nil
}

// foreignServer is the HOST:PORT of the SOCKS5 server of others that stands in place of an egress; empty if none does.
func foreignServer(c *configs.Client) (string, error) {
	if c.Egress.Socks5 == "" {
		return "", nil
	}
	address, err := socks.NextHopAddress(c.Egress.Socks5)
	if err != nil {
		return "", c.Problem("egress.socks5", err.Error())
	}
	return address, nil
}

// frontConfig maps the client's file to what programs connect to.
func frontConfig(c *configs.Client) socks.FrontConfig {
	f := socks.FrontConfig{Optimistic: c.Socks.Reply == "optimistic", AllowClients: c.Socks.AllowClients, Upstream: c.Egress.Socks5}
	f.UDP = socks.FrontUDP{Off: !c.UDP.Serve, Ports: c.UDP.Ports, Advertise: c.UDP.Advertise, Idle: c.UDP.Idle}
	f.BindTimeout = maxBind
	if c.Socks.Users != nil {
		f.Users = make(map[string]string, len(c.Socks.Users))
		for name, secret := range c.Socks.Users {
			f.Users[name] = credential(secret)
		}
	}
	return f
}

// maxBind is longer than any egress waits for the peer of a BIND.
const maxBind = 11 * time.Minute

// credential marks a password as one, unless it is marked or a bcrypt hash.
func credential(secret string) string {
	if isHash(secret) || strings.HasPrefix(secret, "plain:") {
		return secret
	}
	return "plain:" + secret
}

// egressConfig maps the egress's file to what clients connect to.
func egressConfig(e *configs.Egress) (upstream.EgressConfig, error) {
	id, err := loadIdentity(&e.Source, e.Identity)
	if err != nil {
		return upstream.EgressConfig{}, err
	}
	u := upstream.EgressConfig{Listen: e.Listen, QUIC: e.QUIC, Identity: id, Session: sessionConfig(e.Session, e.UDP, e.Memory)}
	u.Session.Advertise = e.Advertise
	for _, c := range e.Clients {
		u.Clients = append(u.Clients, upstream.ClientKey{Name: c.Name, Key: upstream.PublicKey(c.Key)})
	}
	return u, nil
}

// clientLimits maps limits of the egress's file. Both sides of the mapping have zero
// for what is not said and -1 for what is off.
func clientLimits(l configs.Limits) socks.Limits {
	out := socks.Limits{Streams: l.Streams, Sockets: l.Sockets, Dials: l.Dials, Rate: configs.Unlimited}
	if l.Rate != configs.Unlimited {
		out.Rate = int(min(l.Rate/8, math.MaxInt)) // bytes
	}
	return out
}

// limitsByClient maps the limits that clients have of their own.
func limitsByClient(e *configs.Egress) map[string]socks.Limits {
	own := make(map[string]socks.Limits)
	for _, c := range e.Clients {
		if c.Limits != (configs.Limits{}) {
			own[c.Name] = clientLimits(c.Limits)
		}
	}
	return own
}

// targetRules maps the egress's file to what it connects to. Every entry that
// is wrong becomes a problem of its line.
func targetRules(e *configs.Egress) (socks.TargetRules, error) {
	rules, err := socks.ParseTargetRules(e.Targets.Allow, e.Targets.Deny)
	if err == nil {
		return rules, nil
	}
	var ps configs.Problems
	for _, err := range unjoin(err) {
		key, text := "targets", err.Error()
		if bad, ok := errors.AsType[*socks.EntryError](err); ok {
			key = fmt.Sprintf("targets.%s[%d]", bad.List, bad.Index)
			text = fmt.Sprintf("%q: %v", bad.Entry, bad.Err)
		}
		ps = append(ps, e.Problem(key, text))
	}
	return rules, ps
}

// unjoin returns the errors that errors.Join put together.
func unjoin(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}

package configs

import (
	"fmt"
	"net/netip"
	"slices"
)

// EgressRef says where the egress is and who it is, and which others there are.
type EgressRef struct {
	Address []string
	Key     Key
	Verify  string // how the egress is known to be the one: one of Verifications
	Pin     string // file of a key that was learned, resolved; empty: Key is what counts
	Socks5  string // URL of a SOCKS5 server of others, in place of an egress; empty: none
	// Instances are networks in which the egresses behind a balancer have addresses of their own.
	Instances []netip.Prefix
	Name      string        // for logs and status; empty: the first address
	Choose    string        // order or latency
	Others    []OtherEgress // in the order in which they are preferred
}

// All returns each of the egresses, all of which have a name. That of the first says nothing of Verify, Pin and Socks5.
func (e EgressRef) All() []OtherEgress {
	all := append([]OtherEgress{{Name: e.Name, Address: e.Address, Key: e.Key, Instances: e.Instances}}, e.Others...)
	for i := range all {
		if o := &all[i]; o.Name == "" && len(o.Address) > 0 {
			o.Name = o.Address[0]
		}
	}
	return all
}

// OtherEgress is one that can take the place of the first.
type OtherEgress struct {
	Name      string
	Address   []string
	Key       Key
	Instances []netip.Prefix
	Identity  string // file of the private key that this egress knows the client by, resolved; empty: that of all
}

// Ways of egress.choose.
const (
	DefaultChoose = "order" // the first that answers
	ChooseLatency = "latency"
)

// maxOthers is how many others there may be: a session is kept with each.
const maxOthers = 7

const wantAddress = "an address such as egress.example.net:8443"

func egressRefFields(e *EgressRef) []field {
	return []field{
		{name: "address", set: uniqueList(&e.Address, wantAddress, CheckAddress)},
		{name: "key", set: key32(&e.Key)},
		{name: "verify", set: oneOf(&e.Verify, Verifications...)},
		{name: "pin", set: fileName(&e.Pin)},
		{name: "socks5", set: action(&e.Socks5, "the URL of a SOCKS5 server, such as socks5://proxy.example:1080")},
		{name: "instances", set: networks(&e.Instances)},
		{name: "name", set: name(&e.Name)},
		{name: "choose", set: oneOf(&e.Choose, DefaultChoose, ChooseLatency)},
		{name: "others", set: otherEgresses(&e.Others)},
	}
}

func otherEgressFields(e *OtherEgress) []field {
	return []field{
		{name: "name", set: name(&e.Name)},
		{name: "address", set: uniqueList(&e.Address, wantAddress, CheckAddress)},
		{name: "key", set: key32(&e.Key)},
		{name: "instances", set: networks(&e.Instances)},
		{name: "identity", set: fileName(&e.Identity)},
	}
}

// otherEgresses reads a list of egresses.
func otherEgresses(to *[]OtherEgress) setter {
	return func(d *decoder, n *node, key string) {
		switch {
		case n.kind == kindNull:
			return // everything in it is commented out
		case n.kind != kindList:
			d.problem(n, key, "must be a list of egresses, each with address and key, not %s", n.kind)
			return
		case len(n.items) > maxOthers:
			d.problem(n, key, "has %d egresses; %d beside the first are possible", len(n.items), maxOthers)
			return
		}
		for i, it := range n.items {
			full := fmt.Sprintf("%s[%d]", key, i)
			d.places[full] = place{it.line, it.col}
			var e OtherEgress
			before := len(d.problems)
			d.section(it, full, otherEgressFields(&e))
			if len(d.problems) == before && (len(e.Address) == 0 || e.Key == Key{}) {
				d.problem(it, full, "needs an address and a key")
			}
			*to = append(*to, e)
		}
	}
}

// checkOthers compares the egresses with each other, and with what else the file has.
func (d *decoder) checkOthers(c *Client) {
	if len(c.Egress.Others) == 0 || d.isBroken("egress") {
		return
	}
	if c.Egress.Verify != VerifyKey {
		d.at("egress.verify", "%s is for one egress; with egress.others each needs its key", c.Egress.Verify)
	}
	called := func(name string, address []string) string {
		if name == "" && len(address) > 0 {
			return address[0]
		}
		return name
	}
	names := []string{called(c.Egress.Name, c.Egress.Address)}
	for i, o := range c.Egress.Others {
		n := called(o.Name, o.Address)
		if slices.Contains(names, n) {
			d.at(fmt.Sprintf("egress.others[%d]", i), "an egress %s is there already; give one of them another name", n)
		}
		names = append(names, n)
	}
	for i, p := range c.Paths {
		if p.Egress != nil {
			d.at(fmt.Sprintf("paths[%d].egress", i), "is of one egress, and egress.others has more; leave it out")
		}
	}
}

// unlistEgress lets egress be a list: of the first and the others.
func unlistEgress(root *node) {
	n := root.get("egress")
	if n == nil || n.kind != kindList || len(n.items) == 0 || n.items[0].kind != kindMap {
		return
	}
	first, rest := n.items[0], n.items[1:]
	n.kind, n.items, n.flow = kindMap, nil, first.flow
	n.pairs = slices.Clone(first.pairs)
	if len(rest) == 0 {
		return
	}
	at := rest[0]
	n.pairs = append(n.pairs, pair{
		key:   &node{kind: kindString, text: "others", line: at.line, col: at.col},
		value: &node{kind: kindList, items: rest, line: at.line, col: at.col},
	})
}

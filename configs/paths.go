package configs

import (
	"fmt"
	"slices"
	"strconv"
)

// Roles are the roles that a path may have.
var Roles = []string{"primary", "secondary", "backup", "never"}

// maxPaths is what one session takes; every path costs a connection.
const maxPaths = 16

// paths reads the word auto or a list of paths.
func paths(to *[]Path) setter {
	return func(d *decoder, n *node, key string) {
		if n.kind == kindString && n.text == "auto" {
			return
		}
		if n.kind != kindList {
			d.problem(n, key, "must be auto or a list of paths, not %s", n.kind)
			return
		}
		if len(n.items) == 0 || len(n.items) > maxPaths {
			d.problem(n, key, "must have 1 to %d paths; write auto to use every interface", maxPaths)
			return
		}
		for i, it := range n.items {
			full := fmt.Sprintf("%s[%d]", key, i)
			d.places[full] = place{it.line, it.col}
			d.path(to, it, full)
		}
	}
}

// path reads one path and adds it to those before it.
func (d *decoder) path(to *[]Path, n *node, key string) {
	p := Path{Role: "primary", CapStart: 1}
	before := len(d.problems)
	d.section(n, key, pathFields(&p))
	if len(d.problems) > before {
		return
	}
	if p.Interface == "" && !p.Source.IsValid() {
		d.problem(n, key, "needs an interface or a source address")
		return
	}
	if p.Interface != "" && p.Source.IsValid() {
		d.problem(n, key, "has an interface and a source address; want one of the two")
		return
	}
	if p.Name == "" {
		p.Name = defaultPathName(p)
	}
	for _, o := range *to {
		if o.Name == p.Name {
			d.problem(n, key, "a path named %s is already in the list", p.Name)
			return
		}
		if o.Interface == p.Interface && o.Source == p.Source && slices.Equal(o.Egress, p.Egress) {
			d.problem(n, key, "is the same path as %s", o.Name)
			return
		}
	}
	*to = append(*to, p)
}

func defaultPathName(p Path) string {
	if p.Interface != "" {
		return p.Interface
	}
	return p.Source.String()
}

func pathFields(p *Path) []field {
	return []field{
		{name: "name", set: name(&p.Name)},
		{name: "interface", set: interfaceName(&p.Interface)},
		{name: "source", set: address(&p.Source)},
		{name: "egress", set: uniqueList(&p.Egress, "an address such as 203.0.113.7:8443", CheckAddress)},
		{name: "role", set: oneOf(&p.Role, Roles...)},
		{name: "cost", set: number(&p.Cost, 0, 255)},
		{name: "rate_limit", set: pathRate(&p.RateLimit)},
		{name: "cap", set: volume(&p.Cap)},
		{name: "cap_start", set: number(&p.CapStart, 1, 31)},
	}
}

// number reads a whole number between low and high.
func number(to *int, low, high int) setter {
	return func(d *decoder, n *node, key string) {
		v, err := strconv.Atoi(n.text)
		if err != nil || n.kind != kindNumber || v < low || v > high {
			d.problem(n, key, "must be a number between %d and %d, not %q", low, high, n.text)
			return
		}
		*to = v
	}
}

// pathRate reads the limit of a path: off is none.
func pathRate(to *int64) setter {
	read := bitRate(to, 64e3, 100e9)
	return func(d *decoder, n *node, key string) {
		if read(d, n, key); *to == Unlimited {
			*to = 0
		}
	}
}

// volume reads what a path may carry in a month: off is no cap.
func volume(to *int64) setter {
	return func(d *decoder, n *node, key string) {
		s, ok := d.scalar(n, key, "a size such as 20GB, or off")
		if !ok || isOff(n, s) {
			return
		}
		v, ok := parseSize(s)
		if !ok || v < 1e6 {
			d.problem(n, key, "must be a size of 1MB at least, such as 20GB, or off, not %q", s)
			return
		}
		*to = v
	}
}

// interfaceName reads a network interface's name. Windows has names with
// spaces, so only what no system has is refused.
func interfaceName(to *string) setter {
	return func(d *decoder, n *node, key string) {
		s, ok := d.scalar(n, key, "an interface's name")
		if !ok {
			return
		}
		if s == "" || len(s) > 255 {
			d.problem(n, key, "must be an interface's name, such as eth0")
			return
		}
		*to = s
	}
}

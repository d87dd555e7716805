package socks

import (
	"context"
	"net/netip"
)

// Resolver finds the addresses of a host name. *net.Resolver is one. Network is
// "ip4" or "ip6". It gives up when ctx is done.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// answer is what the resolver said of one family of addresses.
type answer struct {
	v6    bool
	addrs []netip.Addr
	err   error
}

// ask sends the resolver's answer for one family. Both families are asked for at
// once, each by a goroutine of its own, because the answer for one must not wait
// for a resolver that is slow with the other (RFC 8305 section 3).
func ask(ctx context.Context, r Resolver, name string, v6 bool, answers chan<- answer) {
	network := "ip4"
	if v6 {
		network = "ip6"
	}
	addrs, err := r.LookupNetIP(ctx, network, name)
	answers <- answer{v6, addrs, err}
}

// candidates is the list of addresses still to be tried. It alternates between the
// families and begins with IPv6 (RFC 8305 section 4).
type candidates struct {
	v4, v6 []netip.Addr
	lastV6 bool
	known  map[netip.Addr]bool
}

// maxCandidates bounds the addresses of one name: a resolver may be anybody's.
const maxCandidates = 32

// add takes the addresses over that permit does not refuse. It returns the first
// refusal.
func (c *candidates) add(addrs []netip.Addr, permit func(netip.Addr) error) (refusal error) {
	if c.known == nil {
		c.known = make(map[netip.Addr]bool)
	}
	for _, ip := range addrs {
		ip = ip.Unmap()
		if !ip.IsValid() || c.known[ip] || len(c.known) == maxCandidates {
			continue
		}
		c.known[ip] = true
		if err := permit(ip); err != nil {
			if refusal == nil {
				refusal = err
			}
			continue
		}
		if ip.Is4() {
			c.v4 = append(c.v4, ip)
		} else {
			c.v6 = append(c.v6, ip)
		}
	}
	return refusal
}

// next takes the address to be tried next.
func (c *candidates) next() (netip.Addr, bool) {
	from := &c.v6
	if len(c.v6) == 0 || c.lastV6 && len(c.v4) > 0 {
		from = &c.v4
	}
	if len(*from) == 0 {
		return netip.Addr{}, false
	}
	ip := (*from)[0]
	*from = (*from)[1:]
	c.lastV6 = ip.Is6()
	return ip, true
}

func (c *candidates) empty() bool { return len(c.v4)+len(c.v6) == 0 }

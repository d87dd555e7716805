package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// The roles a path may have, most used first.
const (
	RolePrimary   = "primary"   // used whenever it helps
	RoleSecondary = "secondary" // used when the primary paths are saturated
	RoleBackup    = "backup"    // used only when no other path works
	RoleNever     = "never"     // not used
)

// maxAuto bounds the paths that discovery makes; every path costs a connection.
const maxAuto = 8

// PathConfig is one way to the egress. Interface, Source or neither may be set;
// a path with neither leaves the choice to the system's routing.
type PathConfig struct {
	Name      string     // default: the interface's or source's name, or "default"
	Interface string     // network interface to leave by
	Source    netip.Addr // local address to leave from
	Egress    []string   // HOST:PORT of the egress on this path; default: the client's
	Role      string     // one of the Role constants; default: RolePrimary
	Cost      int        // orders paths of one role, 0 to 255: dearer ones wait until cheaper ones are saturated
	RateLimit int64      // bits per second each way, IP packets counted; 0: none. Transport mptcp only
	Cap       int64      // bytes a month both ways, IP packets counted, after which it is a backup; 0: none
	CapStart  int        // day of the month on which counting begins anew; default 1
}

// withDefaults returns p with a name and a role.
func (p PathConfig) withDefaults() PathConfig {
	p.Source = p.Source.Unmap()
	if p.Role == "" {
		p.Role = RolePrimary
	}
	switch {
	case p.Name != "":
	case p.Interface != "":
		p.Name = p.Interface
	case p.Source.IsValid():
		p.Name = p.Source.String()
	default:
		p.Name = "default"
	}
	return p
}

func (p PathConfig) check() error {
	if err := checkRole(p.Role); err != nil {
		return err
	}
	switch {
	case p.Cost < 0 || p.Cost > 255:
		return fmt.Errorf("cost %d: not between 0 and 255", p.Cost)
	case p.RateLimit < 0 || p.Cap < 0:
		return errors.New("rate limit and cap: below zero")
	case p.CapStart < 0 || p.CapStart > 31:
		return fmt.Errorf("cap start %d: not a day of a month", p.CapStart)
	}
	if p.Interface != "" && p.Source.IsValid() {
		return errors.New("interface and source exclude each other")
	}
	for _, e := range p.Egress {
		if err := checkHostPort(e); err != nil {
			return fmt.Errorf("egress: %w", err)
		}
	}
	return nil
}

func checkRole(role string) error {
	switch role {
	case RolePrimary, RoleSecondary, RoleBackup, RoleNever:
		return nil
	}
	return fmt.Errorf("role %q: not one of primary, secondary, backup, never", role)
}

func checkHostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return err
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return fmt.Errorf("address %q: want HOST:PORT", s)
	}
	return nil
}

// A resolver finds the addresses of a name; *net.Resolver is one.
type resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// resolveAll returns the addresses of all of list, in its order. A name that is
// unknown costs only itself, as long as something is left.
func resolveAll(ctx context.Context, r resolver, list []string) ([]netip.AddrPort, error) {
	var found []netip.AddrPort
	var failed attempts
	for _, s := range list {
		host, port, err := net.SplitHostPort(s)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			failed = append(failed, fmt.Errorf("address %q: bad port", s))
			continue
		}
		ips, err := lookup(ctx, r, host)
		if err != nil {
			failed = append(failed, fmt.Errorf("resolve %s: %w", host, err))
			continue
		}
		for _, ip := range ips {
			if a := netip.AddrPortFrom(ip.Unmap(), uint16(n)); !slices.Contains(found, a) {
				found = append(found, a)
			}
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	return nil, failed.err()
}

func lookup(ctx context.Context, r resolver, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	ips, err := r.LookupNetIP(ctx, "ip", host)
	// The resolver's error repeats the name and its own server at length.
	var dns *net.DNSError
	if errors.As(err, &dns) {
		err = errors.New(strings.ToLower(dns.Err))
	}
	return ips, err
}

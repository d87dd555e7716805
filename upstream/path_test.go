package upstream

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
)

func TestPathDefaults(t *testing.T) {
	for _, c := range []struct {
		in   PathConfig
		name string
	}{
		{PathConfig{}, "default"},
		{PathConfig{Interface: "eth0"}, "eth0"},
		{PathConfig{Source: netip.MustParseAddr("::ffff:10.0.0.1")}, "10.0.0.1"},
		{PathConfig{Name: "cable", Interface: "eth0"}, "cable"},
	} {
		got := c.in.withDefaults()
		if got.Name != c.name || got.Role != RolePrimary {
			t.Errorf("withDefaults of %+v = %+v, want name %s and role primary", c.in, got, c.name)
		}
		if err := got.check(); err != nil {
			t.Errorf("check of %+v: %v", got, err)
		}
	}
}

func TestPathCheck(t *testing.T) {
	for _, p := range []PathConfig{
		{Role: "main"},
		{Interface: "eth0", Source: netip.MustParseAddr("10.0.0.1")},
		{Egress: []string{"host"}},
		{Egress: []string{"host:0"}},
		{Egress: []string{"host:http"}},
		{Egress: []string{":8443"}},
	} {
		if err := p.withDefaults().check(); err == nil {
			t.Errorf("check of %+v: no error", p)
		}
	}
}

// names answers from a table.
type names map[string][]string

func (n names) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	if network != "ip" {
		return nil, errors.New("asked for one family only")
	}
	list, ok := n[host]
	if !ok {
		return nil, &net.DNSError{Err: "No such host", Name: host, Server: "192.0.2.53", IsNotFound: true}
	}
	return addrs(list...), nil
}

func TestResolveAll(t *testing.T) {
	r := names{"two.example": {"::ffff:192.0.2.1", "2001:db8::1"}, "one.example": {"192.0.2.1"}}
	for _, c := range []struct {
		list []string
		want []netip.AddrPort
		err  string
	}{
		{[]string{"192.0.2.9:1", "[2001:db8::9]:2"}, addrPorts("192.0.2.9:1", "[2001:db8::9]:2"), ""},
		{[]string{"two.example:8443"}, addrPorts("192.0.2.1:8443", "[2001:db8::1]:8443"), ""},
		{[]string{"one.example:1", "two.example:1"}, addrPorts("192.0.2.1:1", "[2001:db8::1]:1"), ""},
		{[]string{"gone.example:1", "one.example:1"}, addrPorts("192.0.2.1:1"), ""},
		{[]string{"gone.example:1"}, nil, "resolve gone.example: no such host"},
	} {
		got, err := resolveAll(t.Context(), r, c.list)
		if c.err != "" && (err == nil || err.Error() != c.err) || c.err == "" && err != nil {
			t.Errorf("resolveAll(%v) error = %v, want %s", c.list, err, c.err)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("resolveAll(%v) = %v, want %v", c.list, got, c.want)
		}
	}
}

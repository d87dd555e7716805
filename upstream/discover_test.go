package upstream

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

func TestDiscover(t *testing.T) {
	crowd := netifs{}
	for i := range 3 * maxAuto {
		crowd = append(crowd, netif{
			name: fmt.Sprint("ppp", i), index: i + 1, up: true,
			addrs: prefixes("10.0.0.1/32"), routes: prefixes("0.0.0.0/0"),
		})
	}
	for _, c := range []struct {
		name   string
		all    netifs
		egress []netip.Addr
		want   []string
	}{
		{"two lines", laptop(), addrs("203.0.113.1"), []string{"eth0", "wlan0"}},
		{"only one has IPv6", laptop(), addrs("2001:db8:f::1"), []string{"eth0"}},
		{"both families", laptop(), addrs("2001:db8:f::1", "203.0.113.1"), []string{"eth0", "wlan0"}},
		{"egress behind the bridge", laptop(), addrs("172.17.0.9"), []string{"eth0", "wlan0", "docker0"}},
		{"name unknown", laptop(), nil, []string{"eth0", "wlan0"}},
		{"egress on loopback", laptop(), addrs("127.0.0.1"), []string{"default"}},
		{"egress on IPv6 loopback", laptop(), addrs("::1"), []string{"default"}},
		{"egress on this machine", laptop(), addrs("192.0.2.5"), []string{"default"}},
		{"no interface", nil, addrs("203.0.113.1"), []string{"default"}},
		{"nothing leads there", laptop()[3:4], addrs("203.0.113.1"), []string{"default"}},
		{"very many", crowd, addrs("203.0.113.1"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var names []string
			for _, p := range discover(c.all, c.egress) {
				names = append(names, p.Name)
				if p.Role != RolePrimary || p.Source.IsValid() || (p.Interface == "") != (p.Name == "default") {
					t.Errorf("path = %+v, want a primary path bound to its interface", p)
				}
			}
			if c.want == nil {
				if len(names) != maxAuto {
					t.Errorf("paths = %v, want %d", names, maxAuto)
				}
			} else if !slices.Equal(names, c.want) {
				t.Errorf("paths = %v, want %v", names, c.want)
			}
		})
	}
}

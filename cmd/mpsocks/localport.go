package main

import (
	"errors"
	"net"
	"net/netip"
	"strings"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/socks"
)

// errNoPort is a client that no program reaches by TCP on this machine.
var errNoPort = errors.New("socks.listen has no address with a known port, which other programs need")

// localPort is where programs of this machine reach a client that listens at the
// given addresses: one of loopback, if there is one.
func localPort(listen []string) (netip.AddrPort, error) {
	var best netip.AddrPort
	for _, l := range listen {
		if _, isUnix := configs.UnixSocket(l); isUnix {
			continue
		}
		at, ok := reachable(l)
		if ok && (!best.IsValid() || at.Addr().IsLoopback() && !best.Addr().IsLoopback()) {
			best = at
		}
	}
	if !best.IsValid() {
		return best, errNoPort
	}
	return best, nil
}

// reachable is the address to dial for one to listen on.
func reachable(listen string) (netip.AddrPort, bool) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return netip.AddrPort{}, false
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	at, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	if err != nil || at.Port() == 0 {
		return netip.AddrPort{}, false
	}
	if at.Addr().IsUnspecified() {
		at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port()) // [::] takes both
	}
	return at, true
}

// What programs are to reach without the client while there are no rules: this machine and the
// networks round it, which an egress could not reach as they are meant.
var (
	pacRules    = []socks.PACRule{{Match: []string{"loopback", "linklocal", "private", "plain"}, Action: socks.PACDirect}}
	directHosts = []string{"localhost", "127.0.0.0/8", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "*.local"}
)

// pacFile is the file for a client that listens at the given addresses; empty if no
// browser reaches it.
//
// It follows the rules: what they send directly a browser takes directly. What they do not
// mention is as without rules.
func pacFile(listen []string, passwords bool, routes *socks.Routes) (string, error) {
	at, err := localPort(listen)
	if err != nil {
		return "", nil
	}
	fallback := pacRules
	if routes.DecidesAll() {
		fallback = nil
	}
	return socks.PAC(socks.PACConfig{Proxy: at.String(), Passwords: passwords, Rules: append(routes.PACRules(), fallback...)})
}

// noProxy is directHosts as the variable no_proxy has it: a name stands for all below.
func noProxy() string {
	all := make([]string, len(directHosts))
	for i, h := range directHosts {
		all[i] = strings.TrimPrefix(h, "*")
	}
	return strings.Join(append(all, "127.0.0.1"), ",")
}

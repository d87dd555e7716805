package configs

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// CheckAddress says what is wrong with s as an address to dial: HOST:PORT,
// where HOST is a name or an IP address and PORT a number from 1 to 65535.
func CheckAddress(s string) error {
	host, err := splitAddress(s, 1)
	if err != nil {
		return err
	}
	if host == "" {
		return fmt.Errorf("address %q has no host", s)
	}
	return checkHost(s, host)
}

// CheckListen says what is wrong with s as an address to listen on: IP:PORT,
// where IP may be empty (all addresses) or localhost, and PORT may be 0.
func CheckListen(s string) error {
	host, err := splitAddress(s, 0)
	if err != nil {
		return err
	}
	if host == "" || host == "localhost" {
		return nil
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return fmt.Errorf("listen address %q: %q is not an IP address of this machine, localhost, or empty", s, host)
	}
	return nil
}

// checkLoopback accepts only listen addresses that no other machine reaches.
func checkLoopback(s string) error {
	if err := CheckListen(s); err != nil {
		return err
	}
	if !isLoopback(s) {
		return fmt.Errorf("address %q is not a loopback address such as 127.0.0.1:1090; it has no password, so other machines must not reach it", s)
	}
	return nil
}

// isLoopback says whether listening on s is for this machine only.
func isLoopback(s string) bool {
	host, _, _ := net.SplitHostPort(s)
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

func splitAddress(s string, lowest int) (host string, err error) {
	if strings.Contains(s, "/") {
		return "", fmt.Errorf("address %q must be HOST:PORT, without anything round it", s)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		switch {
		case strings.Count(s, ":") > 1:
			return "", fmt.Errorf("address %q: put an IPv6 address in brackets, as in [2001:db8::1]:8443", s)
		default:
			return "", fmt.Errorf("address %q must be HOST:PORT", s)
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || port[0] == '+' || int(n) < lowest {
		return "", fmt.Errorf("address %q: port %q is not a number from %d to 65535", s, port, lowest)
	}
	return host, nil
}

// checkHost refuses what can be neither a host name nor an IP address.
func checkHost(s, host string) error {
	if a, err := netip.ParseAddr(host); err == nil {
		if a.IsUnspecified() || a.IsMulticast() {
			return fmt.Errorf("address %q cannot be dialled", s)
		}
		return nil
	}
	if len(host) > 253 {
		return fmt.Errorf("address %q: the host name is longer than 253 characters", s)
	}
	allNumbers := true
	for label := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, hostChars) != "" {
			return fmt.Errorf("address %q: %q is neither a host name nor an IP address", s, host)
		}
		allNumbers = strings.Trim(label, "0123456789") == ""
	}
	if allNumbers { // the last label: no top-level domain is a number
		return fmt.Errorf("address %q: %q is neither a host name nor an IP address", s, host)
	}
	return nil
}

// hostChars are the characters of a host name's label. The underscore is not
// of RFC 1123, but is found in names of the real world.
const hostChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// maxAdvertise is what one announcement to a client holds.
const maxAdvertise = 8

// addrPorts reads one or several addresses of this machine as others dial them.
func addrPorts(to *[]netip.AddrPort) setter {
	const want = "an address such as 203.0.113.7:8443"
	return list(want, func(d *decoder, n *node, key string) {
		s, ok := d.str(n, key, want)
		if !ok {
			return
		}
		a, err := netip.ParseAddrPort(s)
		switch ip := a.Addr(); {
		case err != nil || a.Port() == 0 || ip.Zone() != "":
			d.problem(n, key, "must be %s, not %q", want, s)
		case ip.IsUnspecified() || ip.IsMulticast():
			d.problem(n, key, "%s cannot be dialled", s)
		case slices.Contains(*to, a):
			d.problem(n, key, "%s is in the list twice", s)
		case len(*to) == maxAdvertise:
			d.problem(n, key, "is more than %d addresses", maxAdvertise)
		default:
			*to = append(*to, a)
		}
	})
}

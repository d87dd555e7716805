package socks

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/things-go/go-socks5/statute"
)

// Target is where a request wants to go: a host name or an address, and a port. A
// Target made by this package has a valid host and a port other than 0.
type Target struct {
	name string     // lower case, no trailing dot; empty if ip is valid
	ip   netip.Addr // IPv4 addresses are never in their IPv6-mapped form
	port uint16
}

var errBadPort = errors.New("port is not a number from 1 to 65535")

// ParseTarget reads "host:port". An IPv6 address stands in brackets.
func ParseTarget(hostport string) (Target, error) {
	host, portText, err := net.SplitHostPort(hostport)
	if err != nil {
		return Target{}, fmt.Errorf("parse target: %w", err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return Target{}, errBadPort
	}
	return newTarget(host, uint16(port))
}

// newTarget returns the target for a host in text form, which may be an address.
func newTarget(host string, port uint16) (Target, error) {
	t, err := newHost(host)
	if err != nil {
		return Target{}, err
	}
	t.port = port
	return t, t.checkPort()
}

// newHost returns a target without a port.
func newHost(host string) (Target, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		if zone := ip.Zone(); zone != "" {
			if _, err := canonicalName("zone." + zone + ".zone"); err != nil {
				return Target{}, &ReplyError{Reply: ReplyHostUnreachable, Err: nameError("zone is no interface name")}
			}
		}
		return Target{ip: ip.Unmap()}, nil
	}
	name, err := canonicalName(host)
	if err != nil {
		return Target{}, &ReplyError{Reply: ReplyHostUnreachable, Err: err}
	}
	return Target{name: name}, nil
}

func addrTarget(ip netip.Addr, port uint16) (Target, error) {
	t := Target{ip: ip.Unmap(), port: port}
	return t, t.checkPort()
}

// checkPort refuses port 0, which no connection can have, as the kernel would.
func (t Target) checkPort() error {
	if t.port == 0 {
		return &ReplyError{Reply: ReplyConnectionRefused, Err: fmt.Errorf("port 0: %w", syscall.ECONNREFUSED)}
	}
	return nil
}

// targetOf returns the target of a request that go-socks5 has parsed.
func targetOf(a *statute.AddrSpec) (Target, error) {
	port := uint16(a.Port)
	if a.AddrType == statute.ATYPDomain {
		return newTarget(a.FQDN, port)
	}
	ip, ok := netip.AddrFromSlice(a.IP)
	if !ok {
		return Target{}, &ReplyError{Reply: ReplyAddrTypeNotSupported, Err: errors.New("no address in request")}
	}
	return addrTarget(ip, port)
}

// IsName reports whether a name was asked for, not an address.
func (t Target) IsName() bool { return t.name != "" }

// String returns the target as host:port. It holds no control characters.
func (t Target) String() string {
	if t.ip.IsValid() {
		return netip.AddrPortFrom(t.ip, t.port).String()
	}
	return net.JoinHostPort(t.name, strconv.Itoa(int(t.port)))
}

// appendTo appends the target as ATYP, address and port (RFC 1928 section 4). An
// address with a zone has no binary form and goes as text.
func (t Target) appendTo(b []byte) []byte {
	switch {
	case t.ip.Is4():
		b = append(b, statute.ATYPIPv4)
		b = append(b, t.ip.AsSlice()...)
	case t.ip.Is6() && t.ip.Zone() == "":
		b = append(b, statute.ATYPIPv6)
		b = append(b, t.ip.AsSlice()...)
	default:
		text := t.name
		if t.ip.IsValid() {
			text = t.ip.String()
		}
		b = append(b, statute.ATYPDomain, byte(len(text)))
		b = append(b, text...)
	}
	return append(b, byte(t.port>>8), byte(t.port))
}

// Limits of a host name in text form (RFC 1035 section 2.3.4).
const (
	maxName  = 253
	maxLabel = 63
)

// nameError never holds the name: it may be hostile to whoever reads the log.
type nameError string

func (e nameError) Error() string { return "host name: " + string(e) }

// canonicalName returns name in lower case and without a trailing dot, or why it
// cannot be a host name. What passes may be given to a resolver and to a log. A
// name whose last label is a number is refused: it would be an address to some
// resolvers (inet_aton forms) and cannot be a name to the others.
func canonicalName(name string) (string, error) {
	name = strings.TrimSuffix(name, ".")
	switch {
	case name == "":
		return "", nameError("empty")
	case len(name) > maxName:
		return "", nameError("longer than 253 bytes")
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if err := checkLabel(label); err != nil {
			return "", err
		}
		last = label
	}
	if isNumber(last) {
		return "", nameError("ends in a number but is no address")
	}
	return strings.ToLower(name), nil
}

func checkLabel(label string) error {
	switch {
	case label == "":
		return nameError("empty label")
	case len(label) > maxLabel:
		return nameError("label longer than 63 bytes")
	case label[0] == '-' || label[len(label)-1] == '-':
		return nameError("label begins or ends with a hyphen")
	}
	for i := range len(label) {
		c := label[i]
		ok := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
		if !ok {
			if c >= utf8.RuneSelf {
				return nameError("letters beyond a to z are written as in xn--bcher-kva.example")
			}
			return nameError("character other than letters, digits, hyphen and underscore")
		}
	}
	return nil
}

// isNumber reports whether a label is one in decimal, octal or hexadecimal.
func isNumber(label string) bool {
	digits := "0123456789"
	if strings.HasPrefix(label, "0x") || strings.HasPrefix(label, "0X") {
		label, digits = label[2:], "0123456789abcdefABCDEF"
	}
	return strings.Trim(label, digits) == ""
}

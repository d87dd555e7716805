package socks

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mpsocks/mpsocks/internal/slip"
)

// entry is one entry of targets.allow or targets.deny. It matches by exactly one of
// prefix, name, word, private and any, and by port.
type entry struct {
	text    string
	prefix  netip.Prefix // not valid if the entry is of another kind
	name    string       // lower case
	below   bool         // names below name only, not name itself
	word    string       // loopback, linklocal or plain
	private bool
	any     bool
	lo, hi  uint16 // ports, inclusive
}

// matchesName reports whether a request for the host name matches; name is empty
// if the client asked for an address.
func (e *entry) matchesName(name string, port uint16) bool {
	switch {
	case name == "" || !e.matchesPort(port):
		return false
	case e.word == keywordPlain:
		return isPlainName(name)
	case e.name == "":
		return false
	}
	if name == e.name {
		return !e.below
	}
	return strings.HasSuffix(name, e.name) && name[len(name)-len(e.name)-1] == '.'
}

// matchesAddr reports whether a connection to the address matches; class is the
// class of ip.
func (e *entry) matchesAddr(ip netip.Addr, class addrClass, port uint16) bool {
	if !e.matchesPort(port) {
		return false
	}
	switch {
	case e.any:
		return true
	case e.private:
		return class.private
	case e.word != "":
		return e.wordHas(ip)
	}
	return e.prefix.IsValid() && e.prefix.Contains(ip)
}

// wordHas reports whether the entry's word stands for the address.
func (e *entry) wordHas(ip netip.Addr) bool {
	switch e.word {
	case keywordLoopback:
		return loopback4.Contains(ip) || loopback6.Contains(ip)
	case keywordLinkLocal:
		return linkLocal4.Contains(ip) || linkLocal6.Contains(ip)
	}
	return false
}

// isPlainName reports whether a name is one of the local network: without a dot, or of mDNS (RFC 6762).
func isPlainName(name string) bool {
	return !strings.Contains(name, ".") || strings.HasSuffix(name, ".local")
}

func (e *entry) matchesPort(port uint16) bool { return e.lo <= port && port <= e.hi }

// isExact reports whether the entry stands for a single address.
func (e *entry) isExact() bool { return e.prefix.IsValid() && e.prefix.IsSingleIP() }

const (
	maxPort        = 65535
	keywordPrivate = "private"
	keywordAny     = "*"
)

// parseEntry reads one entry of a list.
func parseEntry(text string) (entry, error) {
	host, ports := splitPorts(text)
	e := entry{text: text, lo: 1, hi: maxPort}
	if ports != "" || strings.HasSuffix(text, ":") {
		var err error
		if e.lo, e.hi, err = parsePorts(ports); err != nil {
			return entry{}, err
		}
	}
	return e, e.parseHost(host)
}

// splitPorts takes the ports off an entry. An IPv6 address or network needs
// brackets to have ports, because its own colons are no separator.
func splitPorts(text string) (host, ports string) {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if i := strings.LastIndexByte(inner, ']'); i >= 0 {
			rest := inner[i+1:]
			if rest == "" || rest[0] == ':' {
				return inner[:i], strings.TrimPrefix(rest, ":")
			}
			if after, ok := strings.CutPrefix(rest, "/"); ok { // [fd00::]/8:443
				bits, ports, _ := strings.Cut(after, ":")
				return inner[:i] + "/" + bits, ports
			}
		}
		return text, ""
	}
	if i := strings.IndexByte(text, ':'); i >= 0 && i == strings.LastIndexByte(text, ':') {
		return text[:i], text[i+1:]
	}
	return text, ""
}

// parsePorts reads "443" or "8000-8999".
func parsePorts(text string) (lo, hi uint16, err error) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	l, lerr := strconv.ParseUint(first, 10, 16)
	h, herr := strconv.ParseUint(last, 10, 16)
	switch {
	case lerr != nil || herr != nil || l == 0:
		return 0, 0, fmt.Errorf("port %q: want a number from 1 to 65535 or a range like 8000-8999", text)
	case l > h:
		return 0, 0, fmt.Errorf("port %q: the range runs backwards", text)
	}
	return uint16(l), uint16(h), nil
}

func (e *entry) parseHost(host string) error {
	switch {
	case host == "":
		return errors.New("empty: want a network, an address or a name")
	case host == keywordPrivate:
		e.private = true
		return nil
	case host == keywordAny:
		e.any = true
		return nil
	case host == keywordLoopback, host == keywordLinkLocal, host == keywordPlain:
		e.word = host
		return nil
	case strings.Contains(host, "/"):
		return e.parsePrefix(host)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return e.setPrefix(netip.PrefixFrom(ip, ip.BitLen()), ip)
	}
	if strings.Contains(host, ":") {
		return errors.New("no address; ports of an IPv6 address need brackets, like [2001:db8::1]:443")
	}
	below := strings.HasPrefix(host, "*.")
	name, err := canonicalName(strings.TrimPrefix(host, "*."))
	if err != nil {
		return fmt.Errorf("no network, no address and no name: %w", err)
	}
	if word := meantKeyword(host); word != "" {
		return fmt.Errorf("did you mean %s? For a host of that name write %s. with the dot", word, name)
	}
	e.name, e.below = name, below
	return nil
}

// meantKeyword is the word that stands for networks which host, a name without a dot, is most likely a slip of; empty if there is none. A
// slip would be taken for the name of a host and silently match nothing.
func meantKeyword(host string) string {
	if strings.Contains(host, ".") {
		return ""
	}
	for _, word := range []string{keywordPrivate, keywordLoopback, keywordLinkLocal, keywordPlain} {
		far := 2
		if word == keywordPlain { // too short for two
			far = 1
		}
		if slip.Distance(strings.ToLower(host), word) <= far {
			return word
		}
	}
	return ""
}

func (e *entry) parsePrefix(host string) error {
	p, err := netip.ParsePrefix(host)
	if err != nil {
		return errors.New("no network: want an address and a prefix length, like 10.0.0.0/8")
	}
	return e.setPrefix(p, p.Addr())
}

// setPrefix takes a prefix in the form that addresses are compared in: IPv4 where
// the IPv6-mapped form was written.
func (e *entry) setPrefix(p netip.Prefix, ip netip.Addr) error {
	const mappedBits = 96
	switch {
	case ip.Zone() != "":
		return errors.New("an address in a rule has no zone")
	case p != p.Masked():
		return fmt.Errorf("has bits beyond its prefix length; the network is %v", p.Masked())
	case ip.Is4In6(): // and at least as long as the mark of that form
		p = netip.PrefixFrom(ip.Unmap(), p.Bits()-mappedBits)
	}
	e.prefix = p
	return nil
}

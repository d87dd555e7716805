package sysproxy

import (
	"context"
	"strings"
)

// registry is the key of the registry that holds Windows' Internet Settings.
type registry interface {
	get(name string) (value, error)
	set(name string, v value) error // a value that is not set is deleted
	// refresh has WinINet read the key again, and tells programs.
	refresh() error
}

// wininet is the setting of Windows. Programs that go by it speak SOCKS4 to a SOCKS
// port, which a PAC file spares them.
type wininet struct{ r registry }

const (
	winEnable   = "ProxyEnable" // a number; the others are text
	winServer   = "ProxyServer"
	winOverride = "ProxyOverride"
	winPAC      = "AutoConfigURL"
)

func (wininet) name() string { return "Windows" }

func (w wininet) read(context.Context) (values, error) {
	now := make(values)
	for _, key := range []string{winEnable, winServer, winOverride, winPAC} {
		v, err := w.r.get(key)
		if err != nil {
			return nil, err
		}
		now[key] = v
	}
	return now, nil
}

func (wininet) aims(t Target, _ values) []aim {
	if t.PAC != "" {
		return []aim{{winPAC, is(t.PAC)}, {winEnable, is("0")}}
	}
	bypass := make([]string, 0, len(t.Bypass)+1)
	for _, b := range t.Bypass {
		if network, ok := winNetwork(b); ok {
			bypass = append(bypass, network...)
		}
	}
	return []aim{
		{winPAC, value{}},
		{winOverride, is(strings.Join(append(bypass, "<local>"), ";"))},
		{winServer, is("socks=" + t.Host + ":" + t.Port)},
		{winEnable, is("1")},
	}
}

// winNetwork is an entry as Windows has it: it knows stars, and no prefix lengths
// but those at a dot.
func winNetwork(entry string) ([]string, bool) {
	network, bits, isNetwork := strings.Cut(entry, "/")
	if !isNetwork {
		return []string{entry}, !strings.Contains(entry, ":")
	}
	parts := strings.Split(network, ".")
	switch bits {
	case "8":
		return []string{parts[0] + ".*"}, true
	case "16":
		return []string{parts[0] + "." + parts[1] + ".*"}, true
	case "12": // 172.16.0.0
		var all []string
		for _, second := range strings.Fields("16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31") {
			all = append(all, parts[0]+"."+second+".*")
		}
		return all, parts[0] == "172"
	}
	return nil, false
}

func (wininet) none(now values) []aim {
	return []aim{{winEnable, is("0")}, {winPAC, value{}}, {winServer, value{}}, {winOverride, now[winOverride]}}
}

func (w wininet) write(_ context.Context, key string, v value) error { return w.r.set(key, v) }

func (w wininet) announce(context.Context) error { return w.r.refresh() }

func (wininet) describe(now values) string {
	switch {
	case now[winPAC].Set:
		return "PAC " + now[winPAC].Text
	case now[winEnable].Text == "1":
		return "manual, " + now[winServer].Text
	}
	return ""
}

package sysproxy

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// macos is the setting of macOS, which every network service has for itself. A key is
// what is set, a tab and the service; all services are set that are enabled.
type macos struct{ c commander }

const (
	macURL      = "autoproxyurl"
	macAuto     = "autoproxystate"
	macSOCKS    = "socksfirewallproxy" // HOST PORT
	macSOCKSOn  = "socksfirewallproxystate"
	macWebOn    = "webproxystate"
	macSecureOn = "securewebproxystate"
	macBypass   = "proxybypassdomains" // words with blanks between
	macNothing  = "Empty"              // networksetup's word for an empty list
)

func findMacOS(c commander) desktop {
	if !c.has("networksetup") {
		return nil
	}
	return macos{c}
}

func (macos) name() string { return "macOS" }

func macKey(item, service string) string { return item + "\t" + service }

// services lists the network services that are enabled: the others have a star.
func (m macos) services(ctx context.Context) ([]string, error) {
	text, err := m.c.run(ctx, "networksetup", "-listallnetworkservices")
	if err != nil {
		return nil, err
	}
	lines := strings.Split(text, "\n")
	return slices.DeleteFunc(lines[1:], func(s string) bool { return s == "" || s[0] == '*' }), nil
}

func (m macos) read(ctx context.Context) (values, error) {
	services, err := m.services(ctx)
	if err != nil {
		return nil, err
	}
	now := make(values)
	for _, s := range services {
		if err := m.readService(ctx, s, now); err != nil {
			return nil, err
		}
	}
	return now, nil
}

func (m macos) readService(ctx context.Context, service string, now values) error {
	for _, q := range []struct{ ask, server, state string }{
		{"-getautoproxyurl", macURL, macAuto},
		{"-getsocksfirewallproxy", macSOCKS, macSOCKSOn},
		{"-getwebproxy", "", macWebOn},
		{"-getsecurewebproxy", "", macSecureOn},
	} {
		text, err := m.c.run(ctx, "networksetup", q.ask, service)
		if err != nil {
			return err
		}
		f := macFields(text)
		switch q.server {
		case macURL:
			now[macKey(macURL, service)] = unlessEmpty(f["URL"])
		case macSOCKS:
			now[macKey(macSOCKS, service)] = value{}
			if f["Server"] != "" {
				now[macKey(macSOCKS, service)] = is(f["Server"] + " " + f["Port"])
			}
		}
		now[macKey(q.state, service)] = is("off")
		if f["Enabled"] == "Yes" || f["Enabled"] == "1" {
			now[macKey(q.state, service)] = is("on")
		}
	}
	text, err := m.c.run(ctx, "networksetup", "-getproxybypassdomains", service)
	if err != nil {
		return err
	}
	now[macKey(macBypass, service)] = value{}
	if list := strings.Fields(text); !strings.HasPrefix(text, "There aren't any") {
		now[macKey(macBypass, service)] = is(strings.Join(list, " "))
	}
	return nil
}

// macFields are lines of NAME: VALUE.
func macFields(text string) map[string]string {
	f := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, v, ok := strings.Cut(line, ":"); ok {
			f[name] = strings.TrimSpace(v)
		}
	}
	return f
}

// unlessEmpty is a value; networksetup prints one that is not there as (null).
func unlessEmpty(s string) value {
	if s == "" || s == "(null)" {
		return value{}
	}
	return is(s)
}

// enabled are the services of values, sorted.
func (macos) enabled(now values) []string {
	var all []string
	for key := range now {
		if item, service, _ := strings.Cut(key, "\t"); item == macAuto {
			all = append(all, service)
		}
	}
	slices.Sort(all)
	return all
}

func (m macos) aims(t Target, now values) (all []aim) {
	for _, s := range m.enabled(now) {
		if t.PAC != "" {
			all = append(all, aim{macKey(macURL, s), is(t.PAC)}, aim{macKey(macAuto, s), is("on")})
			continue
		}
		all = append(all,
			aim{macKey(macBypass, s), is(strings.Join(t.Bypass, " "))},
			aim{macKey(macSOCKS, s), is(t.Host + " " + t.Port)},
			aim{macKey(macSOCKSOn, s), is("on")},
			// These would come before SOCKS.
			aim{macKey(macWebOn, s), is("off")}, aim{macKey(macSecureOn, s), is("off")}, aim{macKey(macAuto, s), is("off")},
		)
	}
	return all
}

func (m macos) none(now values) (all []aim) {
	for _, s := range m.enabled(now) {
		for _, item := range []string{macAuto, macSOCKSOn, macWebOn, macSecureOn} {
			all = append(all, aim{macKey(item, s), is("off")})
		}
		all = append(all, aim{macKey(macBypass, s), now[macKey(macBypass, s)]})
	}
	return all
}

func (m macos) write(ctx context.Context, key string, v value) error {
	item, service, _ := strings.Cut(key, "\t")
	args := []string{"-set" + item, service}
	switch {
	case item == macBypass && v.Text == "":
		args = append(args, macNothing)
	case item == macBypass:
		args = append(args, strings.Fields(v.Text)...)
	case !v.Set:
		return nil // an address cannot be unset; its state is off
	case item == macSOCKS:
		host, port, _ := strings.Cut(v.Text, " ")
		args = append(args, host, port)
	default:
		args = append(args, v.Text)
	}
	_, err := m.c.run(ctx, "networksetup", args...)
	return err
}

func (macos) announce(context.Context) error { return nil } // the system does

func (m macos) describe(now values) string {
	var all []string
	for _, s := range m.enabled(now) {
		switch {
		case now[macKey(macAuto, s)].Text == "on":
			all = append(all, fmt.Sprintf("%s: PAC %s", s, now[macKey(macURL, s)]))
		case now[macKey(macSOCKSOn, s)].Text == "on":
			all = append(all, fmt.Sprintf("%s: socks %s", s, now[macKey(macSOCKS, s)]))
		case now[macKey(macWebOn, s)].Text == "on" || now[macKey(macSecureOn, s)].Text == "on":
			all = append(all, s+": web proxy")
		}
	}
	return strings.Join(all, "; ")
}

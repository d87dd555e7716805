package sysproxy

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// fakeSystem keeps settings as the commands of a system would, and writes down what
// they were told.
type fakeSystem struct {
	t      *testing.T
	tools  string // words
	env    map[string]string
	store  map[string]value
	log    []string // commands that change something
	refuse string   // a command that contains it fails
	ignore string   // a command that contains it has no effect
	// services are macOS's; a star is before those that are not enabled.
	services []string
}

func (f *fakeSystem) has(name string) bool {
	return strings.Contains(" "+f.tools+" ", " "+name+" ")
}

func (f *fakeSystem) getenv(name string) string { return f.env[name] }

func (f *fakeSystem) run(_ context.Context, name string, args ...string) (string, error) {
	if !f.has(name) {
		return "", fmt.Errorf("%s: not found", name)
	}
	line := name
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " '") {
			a = `"` + a + `"`
		}
		line += " " + a
	}
	if f.refuse != "" && strings.Contains(line, f.refuse) {
		return "", errors.New("refused: " + line)
	}
	switch name {
	case "gsettings":
		return f.gsettings(line, args)
	case "kreadconfig5", "kreadconfig6":
		if want := "--file kioslaverc --group \"Proxy Settings\" --key "; !strings.Contains(line, want) || len(args) != 8 || args[6] != "--default" {
			f.t.Errorf("unexpected command %s", line)
		}
		if v := f.store[args[5]]; v.Set {
			return v.Text, nil
		}
		return args[7], nil
	case "kwriteconfig5", "kwriteconfig6":
		return f.kwriteconfig(line, args)
	case "networksetup":
		return f.networksetup(line, args)
	case "dbus-send":
		f.log = append(f.log, line)
		return "", nil
	}
	f.t.Errorf("unexpected command %s", line)
	return "", errors.New("unexpected")
}

func (f *fakeSystem) put(line, key string, v value) (string, error) {
	f.log = append(f.log, line)
	if f.ignore == "" || !strings.Contains(line, f.ignore) {
		f.store[key] = v
	}
	return "", nil
}

func (f *fakeSystem) gsettings(line string, args []string) (string, error) {
	switch {
	case len(args) == 3 && args[0] == "get":
		v, ok := f.store[args[1]+" "+args[2]]
		if !ok {
			return "", errors.New("No such schema")
		}
		return v.Text, nil
	case len(args) == 4 && args[0] == "set":
		return f.put(line, args[1]+" "+args[2], is(args[3]))
	}
	f.t.Errorf("unexpected command %s", line)
	return "", errors.New("usage")
}

func (f *fakeSystem) kwriteconfig(line string, args []string) (string, error) {
	if len(args) != 7 || args[1] != "kioslaverc" || args[3] != "Proxy Settings" {
		f.t.Errorf("unexpected command %s", line)
	}
	if args[6] == "--delete" {
		return f.put(line, args[5], value{})
	}
	return f.put(line, args[5], is(args[6]))
}

func (f *fakeSystem) networksetup(line string, args []string) (string, error) {
	if args[0] == "-listallnetworkservices" {
		return "An asterisk (*) denotes that a network service is disabled.\n" + strings.Join(f.services, "\n"), nil
	}
	get := func(item string) string { return f.store[macKey(item, args[1])].Text }
	yes := func(item string) string {
		if get(item) == "on" {
			return "Yes"
		}
		return "No"
	}
	switch args[0] {
	case "-getautoproxyurl":
		url := get(macURL)
		if url == "" {
			url = "(null)"
		}
		return "URL: " + url + "\nEnabled: " + yes(macAuto), nil
	case "-getsocksfirewallproxy":
		host, port, _ := strings.Cut(get(macSOCKS), " ")
		if port == "" {
			port = "0"
		}
		return "Enabled: " + yes(macSOCKSOn) + "\nServer: " + host + "\nPort: " + port + "\nAuthenticated Proxy Enabled: 0", nil
	case "-getwebproxy":
		return "Enabled: " + yes(macWebOn) + "\nServer: \nPort: 0\nAuthenticated Proxy Enabled: 0", nil
	case "-getsecurewebproxy":
		return "Enabled: " + yes(macSecureOn) + "\nServer: \nPort: 0\nAuthenticated Proxy Enabled: 0", nil
	case "-getproxybypassdomains":
		if v := f.store[macKey(macBypass, args[1])]; v.Text != "" {
			return strings.ReplaceAll(v.Text, " ", "\n"), nil
		}
		return "There aren't any bypass domains set on " + args[1] + ".", nil
	}
	item := strings.TrimPrefix(args[0], "-set")
	v := is(strings.Join(args[2:], " "))
	if v.Text == macNothing {
		v = value{}
	}
	switch item { // these turn themselves on
	case macURL:
		f.store[macKey(macAuto, args[1])] = is("on")
	case macSOCKS:
		f.store[macKey(macSOCKSOn, args[1])] = is("on")
	}
	return f.put(line, macKey(item, args[1]), v)
}

// fakeRegistry is Windows' key.
type fakeRegistry struct {
	store map[string]value
	log   []string
}

func (r *fakeRegistry) get(name string) (value, error) { return r.store[name], nil }

func (r *fakeRegistry) set(name string, v value) error {
	r.log = append(r.log, name+" = "+v.String())
	if v.Set {
		r.store[name] = v
	} else {
		delete(r.store, name)
	}
	return nil
}

func (r *fakeRegistry) refresh() error {
	r.log = append(r.log, "refresh")
	return nil
}

// manage returns a manager of desktops with a state file of its own.
func manage(t *testing.T, all ...desktop) *Manager {
	t.Helper()
	return &Manager{
		find: func() []desktop { return all }, file: filepath.Join(t.TempDir(), "deep", "state.json"),
		answers: func(context.Context, string) bool { return false },
	}
}

var (
	byPAC   = Target{PAC: "http://127.0.0.1:1090/proxy.pac", Host: "127.0.0.1", Port: "1080"}
	bySOCKS = Target{Host: "127.0.0.1", Port: "1080", Bypass: []string{"localhost", "127.0.0.0/8", "::1"}}
)

func newGNOME(t *testing.T) *fakeSystem {
	return &fakeSystem{t: t, tools: "gsettings", store: map[string]value{
		gnomeMode: is("'none'"), gnomeURL: is("''"), gnomeIgnore: is("['localhost']"), gnomeHost: is("''"), gnomePort: is("0"),
		gnomeHTTP: is("'old.example'"), gnomeHTTPS: is("''"), gnomeFTP: is("''"),
	}}
}

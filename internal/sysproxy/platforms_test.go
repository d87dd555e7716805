package sysproxy

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// Every desktop is told exactly this, and is as before afterwards.
func TestCommandLines(t *testing.T) {
	kdeNow := func(t *testing.T) *fakeSystem {
		return &fakeSystem{
			t: t, tools: "kreadconfig6 kwriteconfig6 kreadconfig5 kwriteconfig5 dbus-send", env: map[string]string{"XDG_CURRENT_DESKTOP": "KDE"},
			store: map[string]value{kdeType: is("1"), kdeHTTP: is("http://old.example 3128"), kdeNoFor: is("old.example")},
		}
	}
	mac := func(t *testing.T) *fakeSystem {
		return &fakeSystem{
			t: t, tools: "networksetup", services: []string{"Wi-Fi", "*Thunderbolt Bridge", "USB 10/100 LAN"},
			store: map[string]value{
				macKey(macURL, "Wi-Fi"): is("http://old.example/p.pac"), macKey(macAuto, "Wi-Fi"): is("on"),
				macKey(macSOCKS, "Wi-Fi"): is("old.example 1081"), macKey(macBypass, "Wi-Fi"): is("*.local 169.254/16"),
				macKey(macWebOn, "USB 10/100 LAN"): is("on"),
			},
		}
	}
	for name, tc := range map[string]struct {
		system func(*testing.T) *fakeSystem
		find   func(commander) desktop
		target Target
		on     string
		off    string
	}{
		"gnome pac": {
			newGNOME, findGNOME, byPAC, `
gsettings set org.gnome.system.proxy autoconfig-url "'http://127.0.0.1:1090/proxy.pac'"
gsettings set org.gnome.system.proxy mode "'auto'"`, `
gsettings set org.gnome.system.proxy autoconfig-url "''"
gsettings set org.gnome.system.proxy mode "'none'"`,
		},
		"gnome socks": {
			newGNOME, findGNOME, bySOCKS, `
gsettings set org.gnome.system.proxy.socks host "'127.0.0.1'"
gsettings set org.gnome.system.proxy.socks port 1080
gsettings set org.gnome.system.proxy.http host "''"
gsettings set org.gnome.system.proxy.https host "''"
gsettings set org.gnome.system.proxy.ftp host "''"
gsettings set org.gnome.system.proxy ignore-hosts "['localhost', '127.0.0.0/8', '::1']"
gsettings set org.gnome.system.proxy mode "'manual'"`, `
gsettings set org.gnome.system.proxy.socks host "''"
gsettings set org.gnome.system.proxy.socks port 0
gsettings set org.gnome.system.proxy.http host "'old.example'"
gsettings set org.gnome.system.proxy ignore-hosts "['localhost']"
gsettings set org.gnome.system.proxy mode "'none'"`,
		},
		"kde pac": {
			kdeNow, findKDE, byPAC, `
kwriteconfig6 --file kioslaverc --group "Proxy Settings" --key "Proxy Config Script" http://127.0.0.1:1090/proxy.pac
kwriteconfig6 --file kioslaverc --group "Proxy Settings" --key ProxyType 2
dbus-send --type=signal /KIO/Scheduler org.kde.KIO.Scheduler.reparseSlaveConfiguration string:`, `
kwriteconfig6 --file kioslaverc --group "Proxy Settings" --key "Proxy Config Script" --delete
kwriteconfig6 --file kioslaverc --group "Proxy Settings" --key ProxyType 1
dbus-send --type=signal /KIO/Scheduler org.kde.KIO.Scheduler.reparseSlaveConfiguration string:`,
		},
		"kde socks": {
			kdeNow, findKDE, bySOCKS, `
kwriteconfig6 --file kioslaverc --group "Proxy Settings" --key socksProxy "socks://127.0.0.1 1080"
kwriteconfig6 --file kioslaverc --group "Proxy Settings" --key httpProxy --delete
kwriteconfig6 --file kioslaverc --group "Proxy Settings" --key httpsProxy --delete
kwriteconfig6 --file kioslaverc --group "Proxy Settings" --key ftpProxy --delete
kwriteconfig6 --file kioslaverc --group "Proxy Settings" --key NoProxyFor localhost,127.0.0.0/8,::1
kwriteconfig6 --file kioslaverc --group "Proxy Settings" --key ProxyType 1
dbus-send --type=signal /KIO/Scheduler org.kde.KIO.Scheduler.reparseSlaveConfiguration string:`, `
kwriteconfig6 --file kioslaverc --group "Proxy Settings" --key socksProxy --delete
kwriteconfig6 --file kioslaverc --group "Proxy Settings" --key httpProxy "http://old.example 3128"
kwriteconfig6 --file kioslaverc --group "Proxy Settings" --key NoProxyFor old.example
dbus-send --type=signal /KIO/Scheduler org.kde.KIO.Scheduler.reparseSlaveConfiguration string:`,
		},
		"macos pac": {
			mac, findMacOS, byPAC, `
networksetup -setautoproxyurl "USB 10/100 LAN" http://127.0.0.1:1090/proxy.pac
networksetup -setautoproxystate "USB 10/100 LAN" on
networksetup -setautoproxyurl Wi-Fi http://127.0.0.1:1090/proxy.pac
networksetup -setautoproxystate Wi-Fi on`, `
networksetup -setautoproxystate "USB 10/100 LAN" off
networksetup -setautoproxyurl Wi-Fi http://old.example/p.pac`,
		},
		"macos socks": {
			mac, findMacOS, bySOCKS, `
networksetup -setproxybypassdomains "USB 10/100 LAN" localhost 127.0.0.0/8 ::1
networksetup -setsocksfirewallproxy "USB 10/100 LAN" 127.0.0.1 1080
networksetup -setsocksfirewallproxystate "USB 10/100 LAN" on
networksetup -setwebproxystate "USB 10/100 LAN" off
networksetup -setsecurewebproxystate "USB 10/100 LAN" off
networksetup -setautoproxystate "USB 10/100 LAN" off
networksetup -setproxybypassdomains Wi-Fi localhost 127.0.0.0/8 ::1
networksetup -setsocksfirewallproxy Wi-Fi 127.0.0.1 1080
networksetup -setsocksfirewallproxystate Wi-Fi on
networksetup -setwebproxystate Wi-Fi off
networksetup -setsecurewebproxystate Wi-Fi off
networksetup -setautoproxystate Wi-Fi off`, `
networksetup -setproxybypassdomains "USB 10/100 LAN" Empty
networksetup -setsocksfirewallproxystate "USB 10/100 LAN" off
networksetup -setwebproxystate "USB 10/100 LAN" on
networksetup -setproxybypassdomains Wi-Fi *.local 169.254/16
networksetup -setsocksfirewallproxy Wi-Fi old.example 1081
networksetup -setsocksfirewallproxystate Wi-Fi off
networksetup -setautoproxystate Wi-Fi on`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := tc.system(t)
			d := tc.find(f)
			if d == nil {
				t.Fatal("the desktop is not found")
			}
			m := manage(t, d)
			before := settings(t, d)
			if err := m.On(t.Context(), tc.target, ByHand); err != nil {
				t.Fatal(err)
			}
			wantLog(t, "on", &f.log, tc.on)
			lines, err := m.Status(t.Context())
			if err != nil || len(lines) != 1 || !lines[0].Ours || lines[0].Owner != ByHand || !strings.Contains(lines[0].Setting, "127.0.0.1") {
				t.Errorf("status = %+v, %v", lines, err)
			}
			if r, err := m.Off(t.Context()); err != nil || !r.Any || len(r.Left) > 0 {
				t.Errorf("off = %+v, %v", r, err)
			}
			wantLog(t, "off", &f.log, tc.off)
			if after := settings(t, d); !maps.Equal(after, before) {
				t.Errorf("after off the setting is\n%v\nwant\n%v", after, before)
			}
			if r, err := m.Off(t.Context()); err != nil || r.Any || len(f.log) > 0 {
				t.Errorf("a second off = %+v, %v, and ran %q", r, err, f.log)
			}
		})
	}
}

// settings are a desktop's values but for addresses that stay behind a switch that is
// off, where a system cannot remove them.
func settings(t *testing.T, d desktop) values {
	t.Helper()
	now, err := d.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(now, func(key string, _ value) bool {
		item, service, _ := strings.Cut(key, "\t")
		return item == macURL && now[macKey(macAuto, service)].Text == "off" || item == macSOCKS && now[macKey(macSOCKSOn, service)].Text == "off" && service != "Wi-Fi"
	})
	return now
}

// wantLog compares what was run, and empties it.
func wantLog(t *testing.T, when string, log *[]string, want string) {
	t.Helper()
	if got := "\n" + strings.Join(*log, "\n"); got != want {
		t.Errorf("%s ran%s\nwant%s", when, got, want)
	}
	*log = nil
}

func TestWindows(t *testing.T) {
	for name, tc := range map[string]struct {
		target  Target
		before  map[string]value
		on, off []string
	}{
		"pac over manual": {
			byPAC,
			map[string]value{winEnable: is("1"), winServer: is("old.example:3128")},
			[]string{"AutoConfigURL = http://127.0.0.1:1090/proxy.pac", "ProxyEnable = 0", "refresh"},
			[]string{"AutoConfigURL = (not set)", "ProxyEnable = 1", "refresh"},
		},
		"pac over pac": {
			byPAC,
			map[string]value{winEnable: is("0"), winPAC: is("http://old.example/p.pac")},
			[]string{"AutoConfigURL = http://127.0.0.1:1090/proxy.pac", "ProxyEnable = 0", "refresh"},
			[]string{"AutoConfigURL = http://old.example/p.pac", "refresh"},
		},
		"socks over nothing": {
			bySOCKS,
			map[string]value{},
			[]string{
				"AutoConfigURL = (not set)", "ProxyOverride = localhost;127.*;<local>", "ProxyServer = socks=127.0.0.1:1080", "ProxyEnable = 1", "refresh",
			},
			[]string{"ProxyOverride = (not set)", "ProxyServer = (not set)", "ProxyEnable = (not set)", "refresh"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := &fakeRegistry{store: maps.Clone(tc.before)}
			m := manage(t, wininet{r})
			if err := m.On(t.Context(), tc.target, ByHand); err != nil || !slices.Equal(r.log, tc.on) {
				t.Errorf("on: %v, %q, want %q", err, r.log, tc.on)
			}
			r.log = nil
			if _, err := m.Off(t.Context()); err != nil || !slices.Equal(r.log, tc.off) {
				t.Errorf("off: %v, %q, want %q", err, r.log, tc.off)
			}
			if !maps.Equal(r.store, tc.before) {
				t.Errorf("after off: %v, want %v", r.store, tc.before)
			}
		})
	}
}

func TestWindowsBypass(t *testing.T) {
	for entry, want := range map[string]string{
		"localhost": "localhost", "::1": "", "10.0.0.0/8": "10.*", "192.168.0.0/16": "192.168.*", "fc00::/7": "", "100.64.0.0/10": "",
		"172.16.0.0/12": "172.16.* 172.17.* 172.18.* 172.19.* 172.20.* 172.21.* 172.22.* 172.23.* 172.24.* 172.25.* 172.26.* 172.27.* 172.28.* 172.29.* 172.30.* 172.31.*",
	} {
		all, ok := winNetwork(entry)
		if got := strings.Join(all, " "); ok != (want != "") || ok && got != want {
			t.Errorf("winNetwork(%s) = %s, %v, want %s", entry, got, ok, want)
		}
	}
}

func TestFind(t *testing.T) {
	f := newGNOME(t)
	if findKDE(f) != nil || findMacOS(f) != nil {
		t.Error("a desktop was found that is not there")
	}
	delete(f.store, gnomeMode)
	if findGNOME(f) != nil {
		t.Error("GNOME was found without its schema")
	}
	f.tools, f.env = "kreadconfig5 kwriteconfig5 kwriteconfig6", map[string]string{"XDG_CURRENT_DESKTOP": "X-Foo:KDE"}
	if d, ok := findKDE(f).(kde); !ok || d.set1 != "kwriteconfig5" {
		t.Errorf("KDE 5 = %v", d)
	}
	f.env = nil
	if findKDE(f) != nil {
		t.Error("KDE was found where it is not the desktop")
	}
}

package sysproxy

import (
	"context"
	"strings"
)

// kde is the setting of KDE, in the file kioslaverc.
type kde struct {
	c           commander
	read1, set1 string // kreadconfig and kwriteconfig, of the version that is there
}

const (
	kdeType  = "ProxyType" // 0 none, 1 manual, 2 PAC, 3 WPAD, 4 by environment
	kdePAC   = "Proxy Config Script"
	kdeSOCKS = "socksProxy"
	kdeHTTP  = "httpProxy"
	kdeHTTPS = "httpsProxy"
	kdeFTP   = "ftpProxy"
	kdeNoFor = "NoProxyFor"
	// kdeUnset is what a key has that is not there.
	kdeUnset = "\x01unset"
)

var kdeKeys = []string{kdeType, kdePAC, kdeSOCKS, kdeHTTP, kdeHTTPS, kdeFTP, kdeNoFor}

// findKDE returns the setting if KDE is the desktop.
func findKDE(c commander) desktop {
	if !strings.Contains(c.getenv("XDG_CURRENT_DESKTOP"), "KDE") {
		return nil
	}
	for _, version := range []string{"6", "5"} {
		if c.has("kreadconfig"+version) && c.has("kwriteconfig"+version) {
			return kde{c, "kreadconfig" + version, "kwriteconfig" + version}
		}
	}
	return nil
}

func (kde) name() string { return "KDE" }

func kdeArgs(key string, more ...string) []string {
	return append([]string{"--file", "kioslaverc", "--group", "Proxy Settings", "--key", key}, more...)
}

func (k kde) read(ctx context.Context) (values, error) {
	now := make(values)
	for _, key := range kdeKeys {
		text, err := k.c.run(ctx, k.read1, kdeArgs(key, "--default", kdeUnset)...)
		if err != nil {
			return nil, err
		}
		now[key] = value{}
		if text != kdeUnset {
			now[key] = is(text)
		}
	}
	return now, nil
}

func (kde) aims(t Target, _ values) []aim {
	if t.PAC != "" {
		return []aim{{kdePAC, is(t.PAC)}, {kdeType, is("2")}}
	}
	return []aim{
		{kdeSOCKS, is("socks://" + t.Host + " " + t.Port)},
		{kdeHTTP, value{}},
		{kdeHTTPS, value{}},
		{kdeFTP, value{}}, // these would come before SOCKS
		{kdeNoFor, is(strings.Join(t.Bypass, ","))},
		{kdeType, is("1")},
	}
}

func (kde) none(now values) []aim {
	all := []aim{{kdeType, is("0")}, {kdePAC, value{}}, {kdeSOCKS, value{}}}
	for _, key := range []string{kdeHTTP, kdeHTTPS, kdeFTP, kdeNoFor} {
		all = append(all, aim{key, now[key]})
	}
	return all
}

func (k kde) write(ctx context.Context, key string, v value) error {
	args := kdeArgs(key, "--delete")
	if v.Set {
		args = kdeArgs(key, v.Text)
	}
	_, err := k.c.run(ctx, k.set1, args...)
	return err
}

// announce has running programs read the setting again, where there is a bus to say it on.
func (k kde) announce(ctx context.Context) error {
	if k.c.has("dbus-send") {
		_, _ = k.c.run(ctx, "dbus-send", "--type=signal", "/KIO/Scheduler", "org.kde.KIO.Scheduler.reparseSlaveConfiguration", "string:")
	}
	return nil
}

func (kde) describe(now values) string {
	switch now[kdeType].Text {
	case "1":
		return "manual, " + now[kdeSOCKS].Text
	case "2":
		return "PAC " + now[kdePAC].Text
	case "3":
		return "found by the network (WPAD)"
	case "4":
		return "by environment variables"
	}
	return ""
}

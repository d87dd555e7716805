package sysproxy

import (
	"context"
	"strings"
)

// gnome is the setting of GNOME, which most programs on Linux read that are not of
// KDE. Values are in GVariant's text form, as gsettings prints and reads them.
type gnome struct{ c commander }

const (
	gnomeSchema = "org.gnome.system.proxy"
	gnomeMode   = gnomeSchema + " mode"
	gnomeURL    = gnomeSchema + " autoconfig-url"
	gnomeIgnore = gnomeSchema + " ignore-hosts"
	gnomeHost   = gnomeSchema + ".socks host"
	gnomePort   = gnomeSchema + ".socks port"
	gnomeHTTP   = gnomeSchema + ".http host"
	gnomeHTTPS  = gnomeSchema + ".https host"
	gnomeFTP    = gnomeSchema + ".ftp host"
)

var gnomeKeys = []string{gnomeMode, gnomeURL, gnomeIgnore, gnomeHost, gnomePort, gnomeHTTP, gnomeHTTPS, gnomeFTP}

// findGNOME returns the setting if the machine has it.
func findGNOME(c commander) desktop {
	if !c.has("gsettings") {
		return nil
	}
	if _, err := c.run(context.Background(), "gsettings", "get", gnomeSchema, "mode"); err != nil {
		return nil // no such schema
	}
	return gnome{c}
}

func (gnome) name() string { return "GNOME" }

func (g gnome) read(ctx context.Context) (values, error) {
	now := make(values)
	for _, key := range gnomeKeys {
		schema, name, _ := strings.Cut(key, " ")
		text, err := g.c.run(ctx, "gsettings", "get", schema, name)
		if err != nil {
			return nil, err
		}
		now[key] = is(text)
	}
	return now, nil
}

func (gnome) aims(t Target, _ values) []aim {
	if t.PAC != "" {
		return []aim{{gnomeURL, is(gvariant(t.PAC))}, {gnomeMode, is("'auto'")}}
	}
	ignore := make([]string, len(t.Bypass))
	for i, b := range t.Bypass {
		ignore[i] = gvariant(b)
	}
	list := "[" + strings.Join(ignore, ", ") + "]"
	if len(ignore) == 0 {
		list = "@as []"
	}
	return []aim{
		{gnomeHost, is(gvariant(t.Host))},
		{gnomePort, is(t.Port)},
		// These would come before SOCKS.
		{gnomeHTTP, is("''")},
		{gnomeHTTPS, is("''")},
		{gnomeFTP, is("''")},
		{gnomeIgnore, is(list)},
		{gnomeMode, is("'manual'")},
	}
}

func (gnome) none(now values) []aim {
	all := []aim{{gnomeMode, is("'none'")}, {gnomeURL, is("''")}, {gnomeHost, is("''")}, {gnomePort, is("0")}}
	for _, key := range []string{gnomeHTTP, gnomeHTTPS, gnomeFTP, gnomeIgnore} {
		all = append(all, aim{key, now[key]})
	}
	return all
}

func (g gnome) write(ctx context.Context, key string, v value) error {
	schema, name, _ := strings.Cut(key, " ")
	_, err := g.c.run(ctx, "gsettings", "set", schema, name, v.Text)
	return err
}

func (gnome) announce(context.Context) error { return nil } // programs watch the setting

func (gnome) describe(now values) string {
	switch now[gnomeMode].Text {
	case "'auto'":
		return "PAC " + strings.Trim(now[gnomeURL].Text, "'")
	case "'manual'":
		return "manual, socks " + strings.Trim(now[gnomeHost].Text, "'") + ":" + now[gnomePort].Text
	}
	return ""
}

// gvariant is a text as GVariant prints it. What comes here are addresses and URLs.
func gvariant(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

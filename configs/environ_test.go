package configs

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of docs/environment.md")

// flowOf writes a value as a variable has it.
func flowOf(n *node) string {
	var parts []string
	switch n.kind {
	case kindMap:
		for _, p := range n.pairs {
			parts = append(parts, fmt.Sprintf("%q: %s", p.key.text, flowOf(p.value)))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case kindList:
		for _, it := range n.items {
			parts = append(parts, flowOf(it))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case kindString:
		return fmt.Sprintf("%q", n.text)
	}
	return n.text
}

// environOf turns a file into variables of the same settings, and says which settings
// they are.
func environOf(t *testing.T, text string, fields []field) (environ, settings []string) {
	t.Helper()
	root, err := parse("file", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var walk func(n *node, fields []field, prefix string)
	walk = func(n *node, fields []field, prefix string) {
		for _, p := range n.pairs {
			full := join(prefix, p.key.text)
			if f := findField(fields, p.key.text); f.section != nil {
				walk(p.value, f.section, full)
				continue
			}
			value := flowOf(p.value)
			if p.value.kind == kindString && len(environ)%2 == 0 {
				value = p.value.text // without quotes is the usual way
			}
			environ = append(environ, variableOf(full)+"="+value)
			settings = append(settings, full)
		}
	}
	walk(root, fields, "")
	return environ, settings
}

// uncommentAll is uncomment for lines within sections, too.
func uncommentAll(text string) string {
	return regexp.MustCompile(`(?m)^( +)#(\S|  )`).ReplaceAllString(uncomment(text), "$1$2")
}

// Whatever a file can say, the environment can: the example files with every comment
// sign off, as variables, give the same configuration. That every setting is in these
// files is held by TestExamplesAreComplete.
func TestEnvironmentSaysEverything(t *testing.T) {
	clientText := uncommentAll(exampleClient)
	environ, settings := environOf(t, clientText, clientFields(&Client{}))
	want, err := ParseClient("client.yaml", []byte(clientText))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Input{Environ: environ}.Client()
	if err != nil {
		t.Fatalf("by %q: %v", environ, err)
	}
	got.Source, want.Source = Source{}, Source{}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("by environment %+v\nby file        %+v", got, want)
	}

	egressText := uncommentAll(exampleEgress)
	egressEnviron, egressSettings := environOf(t, egressText, egressFields(&Egress{}))
	wantEgress, err := ParseEgress("egress.yaml", []byte(egressText))
	if err != nil {
		t.Fatal(err)
	}
	gotEgress, err := Input{Environ: egressEnviron}.Egress()
	if err != nil {
		t.Fatalf("by %q: %v", egressEnviron, err)
	}
	gotEgress.Source, wantEgress.Source = Source{}, Source{}
	if !reflect.DeepEqual(gotEgress, wantEgress) {
		t.Errorf("by environment %+v\nby file        %+v", gotEgress, wantEgress)
	}

	// The examples show some settings in prose, because they fit few machines, or not beside the others.
	inProse := []string{"udp.advertise", "bind.advertise", "egress.socks5", "egress.verify", "egress.pin", "egress.others"}
	for _, v := range Variables() {
		if v.Client && !slices.Contains(settings, v.Setting) && !slices.Contains(inProse, v.Setting) ||
			v.Egress && !slices.Contains(egressSettings, v.Setting) && !slices.Contains(inProse, v.Setting) {
			t.Errorf("%s is not tried: an example file has no line for %s that is a setting when its comment sign goes", v.Name, v.Setting)
		}
		if v.Value == "" {
			t.Errorf("%s: no words for what it takes; its setter complains about a section in a way that valueOf does not know", v.Name)
		}
	}
}

// One name is one setting, and none is a name that the program uses itself.
func TestVariablesAreDistinct(t *testing.T) {
	seen := make(map[string]string)
	for _, v := range Variables() {
		if other, twice := seen[v.Name]; twice {
			t.Errorf("%s is both %s and %s", v.Name, other, v.Setting)
		}
		seen[v.Name] = v.Setting
		if !HasSettings([]string{v.Name + "=x"}) {
			t.Errorf("%s is not taken for a setting", v.Name)
		}
	}
	if len(seen) < 40 {
		t.Errorf("%d variables, want those of all settings", len(seen))
	}
}

func TestEnvironmentOverFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "client.yaml")
	if err := os.WriteFile(file, []byte(minimal+"socks:\nlog:\n  level: warn\n  format: json\npaths: [{interface: eth0}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Input{File: file, Environ: []string{
		"HOME=/root", "MPSOCKS_LOG_LEVEL=debug", "MPSOCKS_SOCKS_LISTEN=[127.0.0.1:1, '[::1]:2']", "MPSOCKS_IDENTITY=other.key",
		"MPSOCKS_PATHS=[{source: 10.0.0.1, role: backup}]", "MPSOCKS_DRAIN=", "MPSOCKS_SOCKS_USERS={alice: 'a: b'}", "MPSOCKS_TEST_X=y",
	}}.Client()
	if err != nil {
		t.Fatal(err)
	}
	if c.Log != (Log{"debug", "json"}) || !slices.Equal(c.Socks.Listen, []string{"127.0.0.1:1", "[::1]:2"}) || c.Drain != DefaultDrain ||
		c.Identity != filepath.Join(filepath.Dir(file), "other.key") || len(c.Paths) != 1 || c.Paths[0].Role != "backup" || c.Socks.Users["alice"] != "a: b" {
		t.Errorf("got %+v", c)
	}
	// What turns out later to be wrong is said of the variable, too.
	if got := c.Problem("identity", "no such file").Error(); got != "MPSOCKS_IDENTITY: identity: no such file" {
		t.Errorf("problem = %s", got)
	}
	if got := c.Problem("log.format", "x").Error(); got != file+":6:11: log.format: x" {
		t.Errorf("problem = %s", got)
	}
}

func TestEnvironmentProblems(t *testing.T) {
	file := filepath.Join(t.TempDir(), "client.yaml")
	if err := os.WriteFile(file, []byte(minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ variable, want string }{
		{"MPSOCKS_LOG_LEVL=debug", `MPSOCKS_LOG_LEVL: is not a known variable; did you mean "MPSOCKS_LOG_LEVEL"?`},
		{"MPSOCKS_COFFEE=strong", "MPSOCKS_COFFEE: is not a known variable; `mpsocks help environment` lists them"},
		{"MPSOCKS_QUIC=true", "MPSOCKS_QUIC: is a setting of the egress (quic), and this is not one"},
		{"MPSOCKS_LOG_LEVEL=loud", `MPSOCKS_LOG_LEVEL: log.level: must be one of debug, info, warn, error, not "loud"`},
		{"MPSOCKS_DRAIN=10", "MPSOCKS_DRAIN: drain: has no unit: write 10s or 10m"},
		{"MPSOCKS_UDP_SERVE=yes", `MPSOCKS_UDP_SERVE: udp.serve: must be true or false, not "yes"`},
		{"MPSOCKS_PATHS=[{interface: eth0}, {interface: eth1, roll: backup}]", `MPSOCKS_PATHS:1:39: paths[1].roll: is not a known key; did you mean "role"?`},
		{"MPSOCKS_EGRESS_ADDRESS=[a.example:1", "MPSOCKS_EGRESS_ADDRESS:1:1: sequence end token ']' not found"},
		{"MPSOCKS_EGRESS_ADDRESS=[&a a.example:1]", "MPSOCKS_EGRESS_ADDRESS:1:2: anchors and aliases are not supported"},
		{"MPSOCKS_SOCKS_LISTEN=0.0.0.0:1080", "MPSOCKS_SOCKS_LISTEN: socks.listen: 0.0.0.0:1080 lets other machines in"},
		{"MPSOCKS_IDENTITY=a\x00b", "MPSOCKS_IDENTITY:1:2: has the control character 0x0"},
	} {
		_, err := Input{File: file, Environ: []string{tc.variable}}.Client()
		ps, ok := errors.AsType[Problems](err)
		if !ok || len(ps) != 1 || !strings.HasPrefix(ps[0].Error(), tc.want) {
			t.Errorf("%s: %v\nwant %s", tc.variable, err, tc.want)
		}
	}
	// Passwords are never quoted, wherever they come from.
	_, err := Input{File: file, Environ: []string{"MPSOCKS_SOCKS_USERS={alice: [secret]}"}}.Client()
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error = %v", err)
	}
}

func TestEnvironmentAlone(t *testing.T) {
	_, err := Input{Environ: []string{"MPSOCKS_EGRESS_ADDRESS=e.example:1"}}.Client()
	want := "environment: egress.key: is missing; want the public key of the egress, in the variable MPSOCKS_EGRESS_KEY\n" +
		"environment: identity: is missing; want the file with this client's private key, in the variable MPSOCKS_IDENTITY"
	if err == nil || err.Error() != want {
		t.Errorf("error = %v\nwant    %s", err, want)
	}
	c, e, err := Input{Environ: []string{"MPSOCKS_IDENTITY=e.key", "MPSOCKS_CLIENTS=[]", "MPSOCKS_LISTEN=:8443"}}.Load()
	if err != nil || c != nil || e == nil || e.Identity != "e.key" || e.File != "environment" || !slices.Equal(e.Listen, []string{":8443"}) {
		t.Errorf("Load = %+v, %+v, %v, want an egress", c, e, err)
	}
	c, e, err = Input{Environ: []string{"MPSOCKS_IDENTITY=c.key", "MPSOCKS_EGRESS_ADDRESS=e.example:1", "MPSOCKS_EGRESS_KEY=" + exampleKey}}.Load()
	if err != nil || e != nil || c == nil || c.Transport != "mptcp" {
		t.Errorf("Load = %+v, %+v, %v, want a client", c, e, err)
	}
}

// The page that people read lists the variables that there are.
// `go test ./configs -run EnvironmentPage -update` writes it.
func TestEnvironmentPage(t *testing.T) {
	const file = "../docs/environment.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("<!-- variables: begin -->\n| variable | setting | of | takes |\n|---|---|---|---|\n")
	for _, v := range Variables() {
		side := map[[2]bool]string{{true, true}: "both", {true, false}: "client", {false, true}: "egress"}[[2]bool{v.Client, v.Egress}]
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", v.Name, v.Setting, side, v.Value)
	}
	b.WriteString("<!-- variables: end -->")
	table := regexp.MustCompile(`(?s)<!-- variables: begin -->.*<!-- variables: end -->`)
	want := table.ReplaceAllLiteralString(string(text), b.String())
	switch {
	case *update:
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	case !table.Match(text) || want != string(text):
		t.Errorf("%s is not what the program takes; `go test ./configs -run EnvironmentPage -update` writes its table", file)
	}
}

func FuzzEnvironment(f *testing.F) {
	f.Add("[a, b]")
	f.Add("{a: b}\n")
	f.Add("- a\n- b")
	f.Add("'")
	f.Fuzz(func(t *testing.T, value string) {
		for _, v := range []string{"MPSOCKS_PATHS", "MPSOCKS_SOCKS_USERS", "MPSOCKS_DRAIN"} {
			c, err := Input{Environ: []string{v + "=" + value, "MPSOCKS_IDENTITY=k", "MPSOCKS_EGRESS_ADDRESS=e.example:1", "MPSOCKS_EGRESS_KEY=" + exampleKey}}.Client()
			if _, ok := errors.AsType[Problems](err); err != nil && !ok || err == nil && c == nil {
				t.Errorf("%s=%q: %v", v, value, err)
			}
		}
	})
}

// Who only asks for the ports is not told what a client or an egress would lack.
func TestPortsOfEnvironment(t *testing.T) {
	for _, tt := range []struct{ environ, want string }{
		{"", DefaultSocksListen},
		{"MPSOCKS_LOG_LEVEL=debug", DefaultSocksListen},
		{"MPSOCKS_ADDRESS=egress.example.net:8443", DefaultSocksListen},
		{"MPSOCKS_SOCKS_LISTEN=127.0.0.1:1234", "127.0.0.1:1234"},
	} {
		c, err := Input{Environ: []string{tt.environ}}.Ports()
		if err != nil || len(c.Socks.Listen) != 1 || c.Socks.Listen[0] != tt.want {
			t.Errorf("ports of %q: %+v, %v; want %s", tt.environ, c, err, tt.want)
		}
	}
	for _, wrong := range []string{"MPSOCKS_SOCKS_LISTEN=nowhere", "MPSOCKS_SOCKS_LISTN=127.0.0.1:1"} {
		if _, err := (Input{Environ: []string{wrong}}).Ports(); err == nil || !strings.Contains(err.Error(), "MPSOCKS_SOCKS_LIST") {
			t.Errorf("ports of %q: %v, want an error that names the variable", wrong, err)
		}
	}
}

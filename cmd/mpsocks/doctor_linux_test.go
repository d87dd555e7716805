package main

import (
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/doctor"
)

// patient is a bed whose client does not run, to be made ill.
type patient struct{ *bed }

// inClient runs a command in the client's namespace.
func (p patient) inClient(t *testing.T, words ...string) {
	t.Helper()
	if out, err := p.lab.Client().Command(context.Background(), words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", words, err, out)
	}
}

// variant is a copy of the client's file with pairs of old and new in it.
func (p patient) variant(t *testing.T, change ...string) string {
	t.Helper()
	text := read(t, p.file("client"), clientFile)
	for i := 0; i < len(change); i += 2 {
		if !strings.Contains(text, change[i]) {
			t.Fatalf("the client's file has no %q", change[i])
		}
	}
	return write(t, p.file("client"), "variant.yaml", strings.NewReplacer(change...).Replace(text))
}

// examine runs doctor and returns its report, which its exit code fits.
func (p patient) examine(t *testing.T, file string, before ...string) *doctor.Report {
	t.Helper()
	run := startProgram(t, t, p.lab.Client(), before, "doctor", "-c", file, "--json")
	code := run.ended(t)
	r := &doctor.Report{}
	if err := json.Unmarshal([]byte(run.out.String()), r); err != nil {
		t.Fatalf("doctor ended with %d and wrote %v:\n%s%s", code, err, run.out, run.err)
	}
	if want := map[bool]int{false: exitOK, true: exitFailure}[r.Failed()]; code != want {
		t.Errorf("exit code %d, want %d with %v", code, want, r.Names(doctor.Fail))
	}
	return r
}

// TestDoctor provokes faults of a machine, its lines and the egress, and wants each to
// be found by its name, with something that mends it, and nothing else to be found.
func TestDoctor(t *testing.T) {
	p := patient{newBed(t, bedConfig{paths: []string{"20M/10ms", "20M/10ms"}, byInterface: true})}
	p.client.signal(t, syscall.SIGINT)
	p.client.ended(t)
	file := p.file("client", clientFile)
	one, two := p.lab.Path(0).Name(), p.lab.Path(1).Name()
	source := p.lab.Path(1).ClientAddr().String()

	healthy := p.examine(t, file)
	if names := healthy.Names(doctor.Fail); len(names) > 0 {
		t.Fatalf("a healthy machine: %v: %+v", names, healthy.Findings)
	}

	for _, ill := range []struct {
		fault string
		make  func(t *testing.T) (file string, undo func(), before []string)
		want  string // the check
		about string // that the finding names
	}{
		{"a typo in the configuration", func(t *testing.T) (string, func(), []string) {
			return p.variant(t, "transport", "transprot", "socks:", "sokcs:"), nil, nil
		}, "config", "sokcs"},
		{"the local port is taken", func(t *testing.T) (string, func(), []string) {
			ln, err := p.lab.Client().Listen("tcp", labSocks)
			if err != nil {
				t.Fatal(err)
			}
			return file, func() { _ = ln.Close() }, nil
		}, "port", labSocks},
		{"an interface is down", func(t *testing.T) (string, func(), []string) {
			p.do(t, "ifdown 1")
			return file, func() { p.do(t, "ifup 1") }, nil
		}, "interface", two},
		{"an interface that there is not", func(t *testing.T) (string, func(), []string) {
			return p.variant(t, "interface: "+two, "interface: wlan9"), nil, nil
		}, "interface", "no such interface"},
		{"no default route on a line", func(t *testing.T) (string, func(), []string) {
			routes := func(verb string) {
				p.inClient(t, "sh", "-c", `for t in main `+p.tableOf(t, source)+`; do ip route `+verb+` default dev `+two+` table $t `+map[string]string{"del": "", "add": "metric 999"}[verb]+`; done`)
			}
			routes("del")
			return file, func() { routes("add") }, nil
		}, "route", two},
		{"no routing by source", func(t *testing.T) (string, func(), []string) {
			table := p.tableOf(t, source)
			p.inClient(t, "ip", "rule", "del", "from", source+"/24", "lookup", table)
			return file, func() { p.inClient(t, "ip", "rule", "add", "from", source+"/24", "lookup", table, "pref", table) }, nil
		}, "source-routing", one},
		{"strict reverse path filter", func(t *testing.T) (string, func(), []string) {
			table := p.tableOf(t, source)
			p.inClient(t, "ip", "rule", "del", "from", source+"/24", "lookup", table)
			p.inClient(t, "sysctl", "-w", "net.ipv4.conf."+two+".rp_filter=1")
			return file, func() {
				p.inClient(t, "ip", "rule", "add", "from", source+"/24", "lookup", table, "pref", table)
				p.inClient(t, "sysctl", "-w", "net.ipv4.conf."+two+".rp_filter=0")
			}, nil
		}, "rp_filter", two},
		{"a name that does not resolve", func(t *testing.T) (string, func(), []string) {
			return p.variant(t, labEgress, "nowhere.invalid:8443"), nil, nil
		}, "dns", "nowhere.invalid"},
		{"a wrong port", func(t *testing.T) (string, func(), []string) {
			return p.variant(t, labEgress, labServer+":8444"), nil, nil
		}, "tcp", "refused"},
		{"a line that loses everything", func(t *testing.T) (string, func(), []string) {
			p.do(t, "down 1")
			return file, func() { p.do(t, "up 1") }, nil
		}, "tcp", two},
		{"a captive portal", func(t *testing.T) (string, func(), []string) {
			ln, err := p.lab.Server().Listen("tcp", labServer+":8445")
			if err != nil {
				t.Fatal(err)
			}
			s := &http.Server{Handler: http.NotFoundHandler()}
			done := make(chan error, 1)
			go call(func() error { return s.Serve(ln) }, done)
			return p.variant(t, labEgress, labServer+":8445"), func() { _ = s.Close(); <-done }, nil
		}, "tls", "captive portal"},
		{"another egress", func(t *testing.T) (string, func(), []string) {
			cfg, err := configs.LoadClient(file)
			if err != nil {
				t.Fatal(err)
			}
			return p.variant(t, cfg.Egress.Key.String(), (configs.Key{7}).String()), nil, nil
		}, "tls", "another key"},
		{"a client that the egress does not know", func(t *testing.T) (string, func(), []string) {
			link := runProgram(t, p.lab.Server(), "init", "--dir", p.file("egress"), "--client", "stranger") // without a reload
			runProgram(t, p.lab.Client(), "join", strings.TrimSpace(link), "--dir", p.file("stranger"))
			return p.variant(t, "identity: client.key", "identity: "+p.file("stranger", clientKey)), nil, nil
		}, "hello", "client"},
		{"packets of full size are lost", func(t *testing.T) (string, func(), []string) {
			p.do(t, "mtu 1 900 up")
			return file, func() { p.do(t, "mtu 1 1500 up") }, nil
		}, "mtu", two},
		{"few descriptors", func(*testing.T) (string, func(), []string) {
			return file, nil, []string{"sh", "-c", `ulimit -n 128 && exec "$0" "$@"`}
		}, "nofile", "128"},
		{"a congestion control that there is not", func(t *testing.T) (string, func(), []string) {
			return p.variant(t, "#session:", "session: {congestion: nonesuch}\n#session:"), nil, nil
		}, "congestion", "nonesuch"},
		{"the kernel's MPTCP is off", func(t *testing.T) (string, func(), []string) {
			p.inClient(t, "sysctl", "-w", "net.mptcp.enabled=0")
			return p.variant(t, "#transport: mptcp", "transport: kernel"), func() { p.inClient(t, "sysctl", "-w", "net.mptcp.enabled=1") }, nil
		}, "kernel-mptcp", "switched off"},
	} {
		t.Run(ill.fault, func(t *testing.T) {
			file, undo, before := ill.make(t)
			if undo != nil {
				defer undo()
			}
			r := p.examine(t, file, before...)
			found := false
			for _, f := range r.Findings {
				if f.Level != doctor.Fail && f.Level != doctor.Warn || f.Check != ill.want {
					continue
				}
				text := f.Subject + " " + f.Text + " " + f.Mend
				found = found || strings.Contains(text, ill.about) && f.Mend != ""
			}
			if !found {
				t.Errorf("not found by the name %s with %q:\n%+v", ill.want, ill.about, r.Findings)
			}
			for _, name := range r.Names(doctor.Fail) {
				// What follows from a fault may be found too: a line without a route loses its packets.
				if name != ill.want && !slices.Contains([]string{"source-routing", "tcp"}, name) {
					t.Errorf("%s is said not to work either: %+v", name, r.Findings)
				}
			}
		})
	}
	if names := p.examine(t, file).Names(doctor.Fail); len(names) > 0 {
		t.Errorf("after all is mended: %v", names)
	}
}

// tableOf is the routing table for what comes from an address.
func (p patient) tableOf(t *testing.T, source string) string {
	t.Helper()
	out, err := p.lab.Client().Command(context.Background(), "sh", "-c", "ip rule | sed -n 's/.*from "+source[:strings.LastIndex(source, ".")]+".*lookup //p'").Output()
	table := strings.TrimSpace(string(out))
	if err != nil || table == "" {
		t.Fatalf("no rule for %s: %v", source, err)
	}
	return filepath.Base(table)
}

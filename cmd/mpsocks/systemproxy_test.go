package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/mpsocks/mpsocks/internal/sysproxy"
)

// fakeDesktop writes down what it is told.
type fakeDesktop struct {
	mu     sync.Mutex
	log    []string
	target sysproxy.Target
	fails  error
	left   bool // by a client that crashed
	lines  []sysproxy.Line
}

func (d *fakeDesktop) open() (desktop, error) { return d, nil }

func (d *fakeDesktop) note(what string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, what)
	return d.fails
}

func (d *fakeDesktop) On(_ context.Context, t sysproxy.Target, by sysproxy.Owner) error {
	d.target = t
	return d.note("on by " + string(by))
}

func (d *fakeDesktop) Off(context.Context) (sysproxy.Restored, error) {
	return sysproxy.Restored{Any: d.target.Port != "", Left: []string{"GNOME: mode"}}, d.note("off")
}

func (d *fakeDesktop) Release(context.Context) error { return d.note("release") }

func (d *fakeDesktop) Recover(context.Context) (bool, error) { return d.left, d.note("recover") }

func (d *fakeDesktop) Status(context.Context) ([]sysproxy.Line, error) {
	return d.lines, d.note("status")
}

func (d *fakeDesktop) did() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.log, ", ")
}

// on runs one command line on a machine with a system proxy.
func (d *fakeDesktop) run(t *testing.T, args ...string) result {
	t.Helper()
	var out, errs strings.Builder
	code := run(t.Context(), args, env{in: strings.NewReader(""), out: &out, err: &errs, desktop: d.open})
	return result{code, out.String(), errs.String()}
}

// A client sets the system's proxy while it runs, and serves what it points to.
func TestClientSystemProxy(t *testing.T) {
	for name, tc := range map[string]struct {
		setting string // in the file
		flag    []string
		pac     bool
		on      bool
	}{
		"flag":            {"", []string{"--system-proxy"}, true, true},
		"flag socks":      {"", []string{"--system-proxy=socks"}, false, true},
		"file":            {"system_proxy: pac\n", nil, true, true},
		"flag over file":  {"system_proxy: pac\n", []string{"--system-proxy=off"}, false, false},
		"off is the rule": {"", nil, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := testFiles(t)
			edit(t, client, "# ", tc.setting+"# ")
			desk := &fakeDesktop{left: true}
			in := launchOn(t, desk.open, append([]string{"client", "-c", client}, tc.flag...)...)
			in.err.line(t, "system proxy restored")
			ready := words(in.err.line(t, " ready "))
			target := desk.target
			if tc.on && target.Host+":"+target.Port != ready["socks"] || tc.pac != (target.PAC == "http://"+ready["admin"]+"/proxy.pac") {
				t.Errorf("the system's proxy is %+v, the client is at %s and %s", target, ready["socks"], ready["admin"])
			}
			if tc.pac {
				wantPAC(t, target.PAC, ready["socks"])
			}
			if code := in.stop(); code != exitOK {
				t.Errorf("client ended with %d:\n%s", code, in.err)
			}
			want := "recover"
			if tc.on {
				want = "recover, on by client, release"
			}
			if got := desk.did(); got != want {
				t.Errorf("the client did %s, want %s", got, want)
			}
		})
	}
}

func wantPAC(t *testing.T, url, proxy string) {
	t.Helper()
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(text), "SOCKS5 "+proxy+";") || resp.Header.Get("Content-Type") != "application/x-ns-proxy-autoconfig" {
		t.Errorf("%s = %v, %s, %v", url, resp.Header, text, err)
	}
}

func TestClientSystemProxyFails(t *testing.T) {
	client, _ := testFiles(t)
	desk := &fakeDesktop{fails: errors.New("no session")}
	if got := desk.run(t, "client", "-c", client, "--system-proxy"); got.code != exitFailure || !strings.Contains(got.err, "no session") {
		t.Errorf("client = %+v, want code 1 and the reason", got)
	}
	if got := mpsocks(t, "", "client", "-c", client, "--system-proxy"); got.code != exitFailure || !strings.Contains(got.err, "no desktop here") {
		t.Errorf("client without a desktop = %+v, want code 1 and the reason", got)
	}
	if got := desk.run(t, "client", "-c", client, "--system-proxy=maybe"); got.code != exitUsage {
		t.Errorf("client --system-proxy=maybe = %+v, want code 2", got)
	}
	edit(t, client, "listen: \"127.0.0.1:0\"}", "listen: off}")
	if got := desk.run(t, "client", "-c", client, "--system-proxy"); got.code != exitUsage || !strings.Contains(got.err, "admin.listen") {
		t.Errorf("client without an admin port = %+v, want code 2 and the key", got)
	}
}

func TestSystemProxyVerbs(t *testing.T) {
	d := launch(t, "demo", "--socks", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	ready := words(d.err.line(t, " ready "))
	client, _ := testFiles(t)
	edit(t, client, "listen: 127.0.0.1:0", "listen: "+ready["socks"])
	edit(t, client, "listen: \"127.0.0.1:0\"}", "listen: \""+ready["admin"]+"\"}")

	desk := &fakeDesktop{}
	if got := desk.run(t, "system-proxy", "off"); got.code != exitOK || !strings.Contains(got.out, "was not set from here") {
		t.Errorf("off = %+v", got)
	}
	if got := desk.run(t, "system-proxy", "on", "-c", client); got.code != exitOK || !strings.Contains(got.out, ready["admin"]+"/proxy.pac") {
		t.Errorf("on = %+v", got)
	}
	if got := desk.run(t, "system-proxy", "on", "-c", client, "--socks"); got.code != exitOK || !strings.Contains(got.out, "socks "+ready["socks"]) || len(desk.target.Bypass) == 0 {
		t.Errorf("on --socks = %+v, %+v", got, desk.target)
	}
	if got := desk.run(t, "system-proxy", "off"); got.code != exitOK || !strings.Contains(got.out, "as it was") || !strings.Contains(got.err, "GNOME: mode") {
		t.Errorf("off = %+v", got)
	}
	desk.lines = []sysproxy.Line{
		{Desktop: "A"},
		{Desktop: "B", Setting: "x"},
		{Desktop: "C", Setting: "y", Ours: true, Owner: sysproxy.ByHand},
		{Desktop: "D", Setting: "z", Ours: true, Owner: sysproxy.ByClient},
	}
	want := "A  no proxy\nB  x (not set from here)\nC  y (set by system-proxy on)\nD  z (set by the client, until it ends)\n"
	if got := desk.run(t, "system-proxy", "status"); got.code != exitOK || got.out != want {
		t.Errorf("status = %+v, want %q", got, want)
	}

	// Programs must not be sent where nobody answers.
	d.stop()
	before := desk.did()
	if got := desk.run(t, "system-proxy", "on", "-c", client); got.code != exitFailure || !strings.Contains(got.err, "nothing answers at "+ready["socks"]) || desk.did() != before {
		t.Errorf("on without a client = %+v", got)
	}
	edit(t, client, "  listen: ", "  users: {alice: secret}\n  listen: ")
	if got := desk.run(t, "system-proxy", "on", "-c", client, "--socks"); got.code != exitUsage || !strings.Contains(got.err, "socks.users") {
		t.Errorf("on --socks with users = %+v", got)
	}
	for _, verb := range []string{"on", "off", "status"} {
		if got := mpsocks(t, "", "system-proxy", verb); got.code == exitOK {
			t.Errorf("%s without a desktop = %+v", verb, got)
		}
	}
}

func TestLocalPort(t *testing.T) {
	for _, tc := range []struct {
		listen, want string
	}{
		{"127.0.0.1:1080", "127.0.0.1:1080"},
		{"localhost:1080", "127.0.0.1:1080"},
		{":1080", "127.0.0.1:1080"},
		{"0.0.0.0:1080", "127.0.0.1:1080"},
		{"[::]:1080", "127.0.0.1:1080"},
		{"[::1]:1080", "[::1]:1080"},
		{"192.168.1.1:1080", "192.168.1.1:1080"},
		{"192.168.1.1:1080 127.0.0.1:1081 127.0.0.2:1082", "127.0.0.1:1081"},
		{"unix:/x 192.168.1.1:1080", "192.168.1.1:1080"},
		{"unix:/x", ""},
		{"127.0.0.1:0", ""},
	} {
		got, err := localPort(strings.Fields(tc.listen))
		if (err == nil) != (tc.want != "") || err == nil && got.String() != tc.want {
			t.Errorf("localPort(%s) = %v, %v, want %s", tc.listen, got, err, tc.want)
		}
	}
	if pac, err := pacFile([]string{"unix:/x"}, false, nil); pac != "" || err != nil {
		t.Errorf("a client without a port has the PAC file %q, %v", pac, err)
	}
	if pac, err := pacFile([]string{"127.0.0.1:1080"}, true, nil); err != nil || !strings.Contains(pac, fmt.Sprintf("%q", "PROXY 127.0.0.1:1080")) {
		t.Errorf("with passwords the PAC file is %s, %v", pac, err)
	}
}

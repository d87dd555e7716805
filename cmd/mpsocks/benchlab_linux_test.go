package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mpsocks/mpsocks/bench"
	"github.com/mpsocks/mpsocks/bench/lab"
)

// benchProgram starts a command line of bench as a process: it starts client
// and egress as processes of the same file.
func benchProgram(t *testing.T, args ...string) *program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{name: "bench", cmd: exec.Command(self, append([]string{"bench"}, args...)...), out: newWatched(), err: newWatched(), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), programEnv+"=1")
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.wait()
	t.Cleanup(func() { p.end(t) })
	return p
}

// checkRuns holds that a run of bench has figures for every transport.
func checkRuns(t *testing.T, dir string, transports ...string) *bench.Results {
	t.Helper()
	res, err := bench.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range res.Runs {
		if run.Error != "" {
			t.Errorf("%s: %s", run.Transport, run.Error)
		}
	}
	for _, name := range transports {
		if s, ok := res.Find(res.Scenes[0].Name, name, "ttfb", "p50"); !ok || s.Median <= 0 {
			t.Errorf("%s: no figure", name)
		}
	}
	return res
}

// One command measures every transport there is on emulated paths, and leaves
// results and nothing else.
func TestBenchLab(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute; TestBenchLabExtras runs the same code on less")
	}
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	p := benchProgram(t, "lab", "--scenario", "equal", "--workload", "ttfb", "--runs", "1", "--out", dir)
	if <-p.done; p.code != exitOK {
		t.Fatalf("bench lab ended with %d:\n%s", p.code, p.err)
	}
	all, err := chooseTransports(benchTransports(""), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tr := range all {
		names = append(names, tr.Name)
		if !strings.Contains(p.out.String(), tr.Name) {
			t.Errorf("no %s in the table:\n%s", tr.Name, p.out)
		}
	}
	res := checkRuns(t, dir, names...)
	if !res.Complete || res.Mode != "lab" || res.Host.Kernel == "" || len(res.Scenes[0].Lines) != 2 {
		t.Errorf("results = %+v", res)
	}
	checkPage(t, dir, "A click")
	for _, run := range res.Runs {
		if run.Client.Peak == 0 || run.Egress.Peak == 0 || len(run.Paths) != 2 || run.Paths[0].Down+run.Paths[1].Down == 0 {
			t.Errorf("%s: client %+v, egress %+v, paths %+v", run.Transport, run.Client, run.Egress, run.Paths)
		}
	}
}

// What is measured only when it is named: no proxy, and one that answers early.
func TestBenchLabExtras(t *testing.T) {
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	p := benchProgram(t, "lab", "--scenario", "equal", "--transport", "direct,mptcp-optimistic", "--workload", "ttfb", "--runs", "1", "--out", dir)
	if <-p.done; p.code != exitOK {
		t.Fatalf("bench lab ended with %d:\n%s", p.code, p.err)
	}
	checkRuns(t, dir, "direct", "mptcp-optimistic")
}

// The same without any line.
func TestBenchLoopback(t *testing.T) {
	if testing.Short() {
		t.Skip("seven transports one after the other, twenty seconds under the race detector")
	}
	dir := filepath.Join(t.TempDir(), "out")
	p := benchProgram(t, "loopback", "--workload", "ttfb", "--runs", "1", "--out", dir)
	if <-p.done; p.code != exitOK {
		t.Fatalf("bench loopback ended with %d:\n%s", p.code, p.err)
	}
	var names []string
	for _, tr := range loopbackTransports("") {
		names = append(names, tr.Name)
	}
	res := checkRuns(t, dir, names...)
	if res.Mode != bench.ModeLoopback || !res.Complete {
		t.Errorf("results = %+v", res)
	}
	checkPage(t, dir, "no lines")
	for _, run := range res.Runs {
		switch run.Transport {
		case "none":
		case "mptcp":
			if len(run.Paths) != 2 {
				t.Errorf("paths = %+v, want two", run.Paths)
			}
			fallthrough
		case "tcp", "quic":
			if run.Egress.Peak == 0 {
				t.Errorf("%s: egress %+v", run.Transport, run.Egress)
			}
			fallthrough
		default:
			if run.Client.Peak == 0 {
				t.Errorf("%s: client %+v", run.Transport, run.Client)
			}
		}
	}
}

// Ctrl-C keeps what is done.
func TestBenchLabInterrupted(t *testing.T) {
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	p := benchProgram(t, "lab", "--scenario", "equal", "--transport", "tcp", "--workload", "ttfb,churn,rr", "--runs", "100", "--out", dir)
	p.err.line(t, "ttfb")
	p.signal(t, syscall.SIGINT)
	if <-p.done; p.code != exitFailure || !strings.Contains(p.err.String(), errInterrupted.Error()) {
		t.Errorf("bench lab ended with %d:\n%s", p.code, p.err)
	}
	if res := checkRuns(t, dir, "tcp"); res.Complete {
		t.Error("results are complete")
	}
	checkPage(t, dir, "Stopped before everything was done")
	if !strings.Contains(p.out.String(), "stopped before everything was done") {
		t.Errorf("no table:\n%s", p.out)
	}
}

// The same against an egress on lines that are not emulated: loopback.
func TestBenchLive(t *testing.T) {
	client, egress := testFiles(t)
	edit(t, egress, "# ", "bench: true\nquic: true\n# ")
	out := launch(t, "egress", "-c", egress)
	listen := words(out.err.line(t, " ready "))["listen"]
	at, _, _ := strings.Cut(listen, ",")
	edit(t, client, "127.0.0.1:1\"", at+"\"")
	edit(t, client, `, egress: ["localhost:1"]`, "")

	dir := filepath.Join(t.TempDir(), "out")
	p := benchProgram(t, "live", "-c", client, "--transport", "mptcp,tcp", "--workload", "ttfb", "--runs", "1", "--out", dir)
	if <-p.done; p.code != exitOK {
		t.Fatalf("bench live ended with %d:\n%s", p.code, p.err)
	}
	if res := checkRuns(t, dir, "mptcp", "tcp"); res.Mode != "live" || !res.Complete || len(res.Scenes[0].Lines) != 2 {
		t.Errorf("results = %+v", res)
	}
	checkPage(t, dir, "real lines")
}

// Of several egresses each is measured that takes part; that one does not is said.
func TestBenchLiveOfSeveral(t *testing.T) {
	client, _, _ := twoEgresses(t, "bench: true\n", "")
	dir := filepath.Join(t.TempDir(), "out")
	p := benchProgram(t, "live", "-c", client, "--transport", "mptcp", "--workload", "ttfb", "--runs", "1", "--out", dir)
	if <-p.done; p.code != exitOK {
		t.Fatalf("bench live ended with %d:\n%s", p.code, p.err)
	}
	if res := checkRuns(t, dir, "mptcp"); !res.Complete || len(res.Scenes) != 1 || res.Scenes[0].Name != "live home" {
		t.Errorf("results = %+v", res)
	}
	if text := p.err.String(); !strings.Contains(text, "spare") || !strings.Contains(text, "bench: true") {
		t.Errorf("nothing is said of the one that does not take part:\n%s", text)
	}
	checkPage(t, dir, "to home")
}

// Without a bench service bench live says what is missing.
func TestBenchLiveWithoutService(t *testing.T) {
	client, egress := testFiles(t)
	out := launch(t, "egress", "-c", egress)
	at := words(out.err.line(t, " ready "))["listen"]
	edit(t, client, "127.0.0.1:1\"", at+"\"")
	p := benchProgram(t, "live", "-c", client)
	if <-p.done; p.code != exitFailure || !strings.Contains(p.err.String(), "bench: true") {
		t.Errorf("bench live ended with %d:\n%s", p.code, p.err)
	}
}

// The emulator says what it is set to and what it does.
func TestBenchLabCheck(t *testing.T) {
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	p := benchProgram(t, "lab", "--scenario", "equal", "--check=200ms")
	if <-p.done; p.code != exitOK {
		t.Fatalf("bench lab --check ended with %d:\n%s", p.code, p.err)
	}
	for _, want := range []string{"equal: ", "one      up   rate  set   20.000  measured ", "two           rtt  due ", "all      down  tcp "} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("no %q in\n%s", want, p.out)
		}
	}
}

package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/bench/lab"
)

// patience ends a test that hangs; nothing is measured by it. It is long
// because the machine may be busy with other things.
const patience = 90 * time.Second

// eventually waits for a condition and returns how long that took.
func eventually(t *testing.T, what string, f func() bool) time.Duration {
	t.Helper()
	return within(t, patience, what, f)
}

// within is eventually with another patience.
func within(t *testing.T, limit time.Duration, what string, f func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ; time.Since(start) < limit; <-tick.C {
		if f() {
			return time.Since(start)
		}
	}
	t.Fatalf("%s: did not happen in %v", what, limit)
	return 0
}

// lasts lets time go by, for faults that are to last a while.
func lasts(d time.Duration) { <-time.After(d) }

// program is a process of mpsocks.
type program struct {
	name     string
	cmd      *exec.Cmd
	out, err *watched
	done     chan struct{} // closed when it has ended
	code     int           // to be read after done
}

// startProgram starts mpsocks as a process inside ns, behind the words of a
// command that executes it, if any. It ends with the test owner, at the latest.
func startProgram(t, owner *testing.T, ns *lab.Namespace, before []string, args ...string) *program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	words := slices.Concat(before, []string{self}, args)
	return launchProcess(t, owner, args[0], ns.Command(context.Background(), words[0], words[1:]...))
}

// launchProcess starts a command that executes this test binary, as the program.
func launchProcess(t, owner *testing.T, name string, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{name: name, cmd: cmd, out: newWatched(), err: newWatched(), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), programEnv+"=1", "GOTRACEBACK=all")
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.wait()
	owner.Cleanup(func() { p.end(owner) })
	return p
}

func (p *program) wait() {
	defer close(p.done)
	_ = p.cmd.Wait() // the state says it all
	p.code = p.cmd.ProcessState.ExitCode()
	p.out.end()
	p.err.end()
}

// end kills what still runs, and shows what it wrote if the test has failed.
func (p *program) end(t *testing.T) {
	select {
	case <-p.done:
	default:
		if t.Failed() {
			p.signal(t, syscall.SIGQUIT) // shows its goroutines
		} else {
			p.signal(t, syscall.SIGKILL)
		}
	}
	p.ended(t)
	if t.Failed() {
		t.Logf("%s (process %d, code %d) wrote:\n%s%s", p.name, p.cmd.Process.Pid, p.code, p.out, clip(p.err.String(), 40_000))
	}
	if strings.Contains(p.err.String(), "DATA RACE") || strings.Contains(p.err.String(), "panic:") {
		t.Errorf("%s wrote:\n%s", p.name, clip(p.err.String(), 40_000))
	}
}

// clip keeps the beginning and the end of a long text.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n/4] + "\n[...]\n" + s[len(s)-n*3/4:]
}

func (p *program) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("%v to %s: %v", s, p.name, err)
	}
}

// ended waits for the end and returns the exit code. One that does not end is
// killed and is an error.
func (p *program) ended(t *testing.T) int {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-p.done:
	case <-late.C:
		t.Errorf("%s did not end", p.name)
		p.signal(t, syscall.SIGKILL)
		<-p.done
	}
	return p.code
}

// line waits for a line of the log. A program that does not write it is ended,
// which fails the test.
func (p *program) line(t *testing.T, part string) string {
	t.Helper()
	late := time.AfterFunc(patience, func() { _ = p.cmd.Process.Signal(syscall.SIGQUIT) })
	defer late.Stop()
	return p.err.line(t, part)
}

// lines counts the lines of the log that have all parts.
func (p *program) lines(parts ...string) (n int) {
	for line := range strings.Lines(p.err.String()) {
		has := true
		for _, part := range parts {
			has = has && strings.Contains(line, part)
		}
		if has {
			n++
		}
	}
	return n
}

// descriptors counts the open files of the process.
func (p *program) descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// runProgram runs a command line that ends by itself, and must succeed.
func runProgram(t *testing.T, ns *lab.Namespace, args ...string) string {
	t.Helper()
	p := startProgram(t, t, ns, nil, args...)
	if code := p.ended(t); code != exitOK {
		t.Fatalf("%q ended with %d:\n%s", args, code, p.err)
	}
	return p.out.String()
}

package lab

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// TestInProcess: without Reexec the emulator runs in this process, and does the
// same.
func TestInProcess(t *testing.T) {
	before := hooked
	hooked = false
	t.Cleanup(func() { hooked = before })
	l := newLab(t, Config{Paths: []Path{quick}})
	near, far := dialPair(t, l, clientAddr(0), serverAddr(0))
	transfer(t, far, near, 1<<20)
	for _, line := range []string{"rate 0 50M", "down 0", "up 0", "cpu", "stats", "reset 0"} {
		if _, err := l.Run(line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if _, err := far.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read after reset: %v, want %v", err, syscall.ECONNRESET)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := l.Run("cpu"); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v, want %v", err, ErrClosed)
	}
}

// TestEmulatorKilled: a lab whose emulator has died says so and closes.
func TestEmulatorKilled(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	l, err := New(Config{Paths: []Path{quick}})
	if err != nil {
		t.Fatal(err)
	}
	r := l.engine.(*remote)
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "error", func() bool { return l.Path(0).SetDown(BothWays) != nil })
	if err := l.Close(); err == nil {
		t.Errorf("Close did not say that the emulator was killed")
	}
}

// TestOrdinaryUser runs some of these tests as nobody.
func TestOrdinaryUser(t *testing.T) {
	if os.Getuid() != 0 || inUserNS() {
		t.Skip("needs root to become somebody else")
	}
	dir := t.TempDir()
	for d := dir; d != "/" && d != filepath.Clean(os.TempDir()); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "lab.test")
	if err := os.WriteFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.v", "-test.run=TestDownAndUp|TestCarries/default|TestCommand|TestClose")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	if bytes.Contains(out, []byte("--- SKIP")) {
		t.Skipf("user namespaces are not to be had here:\n%s", out)
	}
	for _, name := range []string{"TestDownAndUp", "TestCarries/default", "TestCommand", "TestClose"} {
		if !bytes.Contains(out, []byte("--- PASS: "+name)) {
			t.Errorf("%s did not run:\n%s", name, out)
		}
	}
}

// TestCommand runs another program inside.
func TestCommand(t *testing.T) {
	l := newLab(t, Config{Paths: []Path{{Name: "wifi"}}})
	for name, want := range map[*Namespace]string{l.Client(): "10.1.1.1/24", l.Server(): "10.1.1.2/24"} {
		out, err := name.Command(t.Context(), "ip", "-br", "address", "show", "wifi").CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v: %s; want %s", name.Name(), err, out, want)
		}
	}
}

// TestClose: nothing is left, and the name is free again.
func TestClose(t *testing.T) {
	cfg := Config{Name: "lab-close-test", Paths: []Path{quick, quick}}
	l := newLab(t, cfg)
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second lab of the same name: %v", err)
	}
	path := l.Client().ns.name
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); path != "" && !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", path, err)
	}
	if err := l.Path(0).SetDown(BothWays); !errors.Is(err, ErrClosed) {
		t.Errorf("SetDown after Close: %v, want %v", err, ErrClosed)
	}
	before := openFiles(t)
	for range 3 {
		l, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d open files before, %d after", before, after)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	e, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(e)
}

// TestStaleName: what a killed lab left behind is no obstacle.
func TestStaleName(t *testing.T) {
	l := newLab(t, Config{Name: "lab-stale-test", Paths: []Path{quick}})
	name := l.Client().ns.name
	if name == "" {
		t.Skip("an ordinary user has no names in /run/netns")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	dead, err := newNetns()
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.mount("lab-stale-test-client"); err != nil {
		t.Fatal(err)
	}
	dead.file.Close()
	newLab(t, Config{Name: "lab-stale-test", Paths: []Path{quick}})
}

// TestDo: a function's error comes back, and one that ends its goroutine does
// not hang the caller.
func TestDo(t *testing.T) {
	l := newLab(t, Config{Paths: []Path{quick}})
	want := errors.New("mine")
	if err := l.Client().Do(func() error { return want }); !errors.Is(err, want) {
		t.Errorf("Do: %v, want %v", err, want)
	}
	if err := l.Client().Do(func() error { runtime.Goexit(); return nil }); err == nil {
		t.Errorf("Do of a function that does not return: no error")
	}
}

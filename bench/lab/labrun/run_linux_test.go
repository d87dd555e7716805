package main

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/mpsocks/mpsocks/bench/lab"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The scripts below start this program as LAB_CTL.
	if len(os.Args) > 1 && os.Args[1] == "ctl" {
		os.Exit(ctl(os.Args[2:]))
	}
	lab.Reexec()
	goleak.VerifyTestMain(m)
}

// TestScript runs a lab from end to end: script, control socket, exit code.
func TestScript(t *testing.T) {
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	socket := filepath.Join(t.TempDir(), "c.sock")
	for script, want := range map[string]int{
		"exit 7": 7,
		`set -e
		$LAB_CLIENT ip address show path1 | grep -q 10.2.1.1/24
		$LAB_SERVER ip address show lo | grep -q 10.99.0.1
		$LAB_CTL rate 1 5M down
		$LAB_CTL down path0
		$LAB_CTL stats 1 | grep -q 'path1 down'
		! $LAB_CTL frobnicate 0 2>/dev/null`: 0,
		`$LAB_CTL quit; sleep 60`: 1,
	} {
		code, err := labrun([]string{"-name", "labrun-test", "-socket", socket, "-loss", "1%", "-path", "20M/2ms", "-path", "20M/2ms", "-run", script})
		if code != want || err != nil {
			t.Errorf("script %q: exit code %d, %v; want %d", script, code, err, want)
		}
		if _, err := os.Lstat(socket); !os.IsNotExist(err) {
			t.Errorf("control socket still there: %v", err)
		}
	}
}

// TestSocketInUse: the socket of a living lab is not taken away.
func TestSocketInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if c, err := listen(nil, path, func() {}); err == nil {
		c.close()
		t.Errorf("a second listener on %s", path)
	}
}

// TestSetupErrors: what cannot work says so with an exit code.
func TestSetupErrors(t *testing.T) {
	if code, err := labrun([]string{"-run", "true"}); code != 1 || err == nil {
		t.Errorf("no paths: exit code %d, %v; want 1", code, err)
	}
	if code, err := labrun([]string{"-path", "x"}); code != 2 || err == nil {
		t.Errorf("bad path: exit code %d, %v; want 2", code, err)
	}
}

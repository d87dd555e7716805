//go:build unix

package sdnotify

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// manager listens as systemd does, and has the environment name it.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	name := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", "")
	t.Setenv("WATCHDOG_PID", "")
	return c
}

func wantMessage(t *testing.T, c *net.UnixConn, want string) {
	t.Helper()
	b := make([]byte, 4096)
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	n, err := c.Read(b)
	if got := string(b[:n]); err != nil || got != want {
		t.Fatalf("the manager read %q, %v; want %q", got, err, want)
	}
}

func TestTell(t *testing.T) {
	c := manager(t)
	n := FromEnvironment()
	defer n.Close()
	if err := n.Tell(Ready, "STATUS=two paths"); err != nil {
		t.Fatal(err)
	}
	wantMessage(t, c, "READY=1\nSTATUS=two paths\n")
	if err := n.Tell(Stopping, ExtendTimeout(1500*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	wantMessage(t, c, "STOPPING=1\nEXTEND_TIMEOUT_USEC=1500000\n")
	_ = c.Close()
	if err := n.Tell(Ready); err == nil {
		t.Error("Tell to a manager that has gone: no error")
	}
}

func TestNobodyToTell(t *testing.T) {
	manager(t)
	t.Setenv("NOTIFY_SOCKET", "")
	n := FromEnvironment()
	if err := n.Tell(Ready); err != nil {
		t.Errorf("Tell without a manager: %v", err)
	}
	n.Watchdog(t.Context(), func() { t.Error("asked whether it is alive, for nobody") })
}

// TestWatchdog: the manager hears of a program that is alive, and nothing of one that hangs.
func TestWatchdog(t *testing.T) {
	c := manager(t)
	t.Setenv("WATCHDOG_USEC", "3000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	n := FromEnvironment()
	defer n.Close()
	ctx, cancel := context.WithCancel(t.Context())
	asked, go2 := make(chan struct{}), make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.Watchdog(ctx, func() { asked <- struct{}{}; <-go2 })
	}()
	for range 3 {
		<-asked // and now it hangs
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if n, err := c.Read(make([]byte, 64)); err == nil {
			t.Fatalf("%d bytes of a program that hangs", n)
		}
		go2 <- struct{}{}
		wantMessage(t, c, "WATCHDOG=1\n")
	}
	<-asked
	cancel()
	go2 <- struct{}{}
	<-done
}

func TestWatchdogOfAnotherProcess(t *testing.T) {
	manager(t)
	t.Setenv("WATCHDOG_USEC", "1000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()+1))
	FromEnvironment().Watchdog(t.Context(), func() { t.Error("asked for a watchdog that is another's") })
}

package upstream

import (
	"context"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWatchSystemHearsTheKernel sets an interface up in a network of its own and
// wants to be told.
func TestWatchSystemHearsTheKernel(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a network of its own needs root")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	signal := make(chan struct{}, 1)
	control, ended := make(chan int), make(chan error, 1)
	go func() {
		// The thread is in the new network for good: it ends with this goroutine.
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		fd := -1
		if err == nil {
			fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		}
		control <- fd
		if err == nil {
			watchSystem(ctx, signal)
		}
		ended <- err
	}()
	fd := <-control
	if fd < 0 {
		t.Skipf("no network of its own to be had: %v", <-ended)
	}
	defer unix.Close(fd)
	for up := true; ; up = !up { // until the watch has begun to listen
		setLoopback(t, fd, up)
		select {
		case <-signal:
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			return
		default:
			runtime.Gosched()
		}
	}
}

func setLoopback(t *testing.T, fd int, up bool) {
	t.Helper()
	req, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	if up {
		req.SetUint16(unix.IFF_UP)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		t.Fatal(err)
	}
}

package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// netnsDir is where ip-netns(8) looks for names.
const netnsDir = "/run/netns"

// netns is a network namespace that lives as long as the file is open or the
// name is mounted.
type netns struct {
	file *os.File
	name string // path of the mounted name, "" if it could not be mounted
}

// newNetns makes an empty network namespace without a name.
func newNetns() (*netns, error) {
	n := &netns{}
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare network namespace: %w", err)
		}
		f, err := os.Open("/proc/thread-self/ns/net")
		n.file = f
		return err
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// mount names the namespace for `ip netns exec`.
func (n *netns) mount(name string) error {
	if err := shareNetnsDir(); err != nil {
		return err
	}
	if err := removeStale(name); err != nil {
		return err
	}
	path := filepath.Join(netnsDir, name)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("name namespace %s: %w", name, err)
	}
	f.Close()
	if err := unix.Mount(n.procPath(), path, "none", unix.MS_BIND, ""); err != nil {
		os.Remove(path)
		return fmt.Errorf("mount namespace %s: %w", path, err)
	}
	n.name = path
	return nil
}

// shareNetnsDir makes the folder a mount of itself, as ip-netns(8) does when it
// names its first namespace. Were it done later, it would cover our names.
func shareNetnsDir() error {
	if err := os.MkdirAll(netnsDir, 0o755); err != nil {
		return err
	}
	share := func() error { return unix.Mount("", netnsDir, "none", unix.MS_SHARED|unix.MS_REC, "") }
	err := share()
	if !errors.Is(err, unix.EINVAL) { // which says: not a mount
		return err
	}
	if err := unix.Mount(netnsDir, netnsDir, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount %s: %w", netnsDir, err)
	}
	return share()
}

// procPath is a name for the namespace that holds while this process lives.
func (n *netns) procPath() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.file.Fd())
}

// path is what other programs may open.
func (n *netns) path() string {
	if n.name != "" {
		return n.name
	}
	return n.procPath()
}

// do runs f on a thread that is inside the namespace.
func (n *netns) do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return f()
	})
}

func (n *netns) close() error {
	var err error
	if n.name != "" {
		err = errors.Join(unix.Unmount(n.name, unix.MNT_DETACH), os.Remove(n.name))
		n.name = ""
	}
	return errors.Join(err, n.file.Close())
}

// removeStale unmounts the name that a killed process left behind: a living one
// holds the lab's lock.
func removeStale(name string) error {
	path := filepath.Join(netnsDir, name)
	if _, err := os.Lstat(path); err != nil {
		return nil
	}
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return os.Remove(path)
}

// onThread runs f on a thread of its own, which f may move to another network
// namespace: it is brought back, or ends, before anything else runs on it.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go runOnThread(f, done)
	return <-done
}

func runOnThread(f func() error, done chan<- error) {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		done <- err
		return
	}
	defer home.Close()
	returned := false
	defer func() {
		// A failed way home leaves the goroutine locked: its thread ends with it.
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		if !returned {
			done <- errors.New("lab: function in namespace ended its goroutine")
		}
	}()
	err = f()
	returned = true
	done <- err
}

// shellPrefix is the command that enters the namespace from another shell.
func (n *netns) shellPrefix() []string {
	if inUserNS() {
		return []string{"nsenter", "--preserve-credentials", "-U", "-m", "-t", fmt.Sprint(os.Getpid()), "--net=" + n.procPath()}
	}
	return []string{"nsenter", "--net=" + n.path()}
}

package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// reexecEnv marks a process that Reexec has started.
const reexecEnv = "MPSOCKS_LAB_USERNS"

// Available says whether New can work here, and why not.
func Available() error {
	if !canAdmin() {
		return fmt.Errorf("%w: needs root, or Reexec at the start of the program (user namespaces)", ErrUnsupported)
	}
	for tool, from := range map[string]string{"ip": "iproute2", "nsenter": "util-linux"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w: %w (%s)", ErrUnsupported, err, from)
		}
	}
	return nil
}

// canAdmin reports whether this process may make network namespaces.
func canAdmin() bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&hdr, &data[0]) != nil {
		return false
	}
	const need = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN
	return data[0].Effective&need == need
}

// inUserNS reports whether this process is in a user namespace of its own,
// where not all of the machine's users exist.
func inUserNS() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	f := strings.Fields(string(b))
	return err == nil && (len(f) != 3 || f[2] != strconv.FormatUint(1<<32-1, 10))
}

// Reexec prepares this program for labs. Call it first in main or TestMain. It
// does up to two things:
//
// The emulator of a lab gets a process of its own, which is this program
// started again; in that process Reexec does not return. Without Reexec the
// emulator shares the program's scheduler, and its timing is only good while
// the program is idle.
//
// For an ordinary user it runs the program again, with the same arguments, as
// root of a user namespace of its own, waits for it and exits with its code.
// Where that is not needed or not possible it goes on; New then works or says
// why not.
func Reexec() {
	if os.Getenv(emulatorEnv) != "" {
		if err := emulate(); err != nil {
			fmt.Fprintln(os.Stderr, "lab emulator:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	hooked = true
	if canAdmin() || os.Getenv(reexecEnv) != "" {
		return
	}
	code, err := reexec()
	if err != nil {
		return
	}
	os.Exit(code)
}

func reexec() (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), reexecEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	sigs := make(chan os.Signal, 8)
	signal.Notify(sigs, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(sigs)
	runtime.LockOSThread() // Pdeathsig is about the thread, not the process
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	done := make(chan struct{})
	go forward(sigs, cmd.Process, done)
	err = cmd.Wait()
	close(done)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 1, nil
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}

// forward passes signals to the child until done. A terminal sends ^C to both
// of us, which does no harm.
func forward(sigs <-chan os.Signal, to *os.Process, done <-chan struct{}) {
	for {
		select {
		case s := <-sigs:
			_ = to.Signal(s)
		case <-done:
			return
		}
	}
}

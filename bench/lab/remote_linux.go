package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// emulatorEnv marks a process that is an emulator and nothing else.
const emulatorEnv = "MPSOCKS_LAB_EMULATOR"

// Descriptors of an emulator process: the control socket, then the devices of
// path 0 at the client, at the server, of path 1, and so on.
const (
	controlFD     = 3
	firstDeviceFD = 4
)

// hooked says that Reexec has run, so that this program started again with
// emulatorEnv becomes an emulator.
var hooked bool

// newEngine starts the emulator between devices that it takes over. In a
// process of its own it does not have to wait until the Go scheduler of a busy
// program lets it run: with two busy goroutines beside it, round trips in this
// process were seen to come 8 to 40 ms late.
func newEngine(cfg Config, ends [][2]*device) (engine, error) {
	if hooked {
		return startRemote(cfg, ends)
	}
	return newEmulation(cfg, ends)
}

// remoteSetup is the first message to an emulator process.
type remoteSetup struct {
	Grain time.Duration
	Seed  uint64
	Paths []Path
	Ether [][2][]byte // what is left of a device that is not a descriptor
}

// request is a call of an engine's method; the reply is an answer.
type request struct {
	Op       string
	Path     int
	Up, Down Link
	Dir      Direction
	Flag     bool
}

type answer struct {
	Err   string
	Stats PathStats
	CPU   time.Duration
}

// remote is the engine in a process of its own.
type remote struct {
	cmd *exec.Cmd

	mu      sync.Mutex // held over a call: the emulator answers one after the other
	control *os.File
	enc     *json.Encoder
	dec     *json.Decoder
	closed  bool
}

func startRemote(cfg Config, ends [][2]*device) (*remote, error) {
	defer closeDevices(ends) // the child has its own
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	mine, theirs := os.NewFile(uintptr(pair[0]), "lab control"), os.NewFile(uintptr(pair[1]), "lab control")
	defer theirs.Close()
	r := &remote{cmd: exec.Command(self), control: mine, enc: json.NewEncoder(mine), dec: json.NewDecoder(mine)}
	setup := remoteSetup{Grain: cfg.Grain, Seed: cfg.Seed, Paths: cfg.Paths}
	r.cmd.ExtraFiles = []*os.File{theirs}
	for _, pair := range ends {
		var ether [2][]byte
		for side, d := range pair {
			ether[side] = d.ether
			r.cmd.ExtraFiles = append(r.cmd.ExtraFiles, d.file())
		}
		setup.Ether = append(setup.Ether, ether)
	}
	// A program under the race detector would wait a second before it ends.
	r.cmd.Env = append(os.Environ(), emulatorEnv+"=1", "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	r.cmd.Stderr = os.Stderr
	// A terminal's ^C is for the program, which then closes the lab.
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := r.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start emulator: %w", err), mine.Close())
	}
	if err := r.begin(setup); err != nil {
		return nil, errors.Join(fmt.Errorf("start emulator: %w", err), r.close())
	}
	return r, nil
}

// begin sends the setup and waits until the emulator runs.
func (r *remote) begin(s remoteSetup) error {
	if err := r.enc.Encode(s); err != nil {
		return err
	}
	return r.read(&answer{})
}

func (r *remote) call(q request) (a answer, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return a, ErrClosed
	}
	if err := r.enc.Encode(q); err != nil {
		return a, fmt.Errorf("emulator: %w", err)
	}
	return a, r.read(&a)
}

func (r *remote) read(a *answer) error {
	if err := r.dec.Decode(a); err != nil {
		return fmt.Errorf("emulator: %w", err)
	}
	if a.Err != "" {
		return errors.New(a.Err)
	}
	return nil
}

func (r *remote) configure(path int, up, down Link) error {
	_, err := r.call(request{Op: "configure", Path: path, Up: up, Down: down})
	return err
}

func (r *remote) setDown(path int, d Direction, down bool) error {
	_, err := r.call(request{Op: "down", Path: path, Dir: d, Flag: down})
	return err
}

func (r *remote) reset(path int) error {
	_, err := r.call(request{Op: "reset", Path: path})
	return err
}

func (r *remote) stats(path int) (PathStats, error) {
	a, err := r.call(request{Op: "stats", Path: path})
	return a.Stats, err
}

func (r *remote) cpu() (time.Duration, error) {
	a, err := r.call(request{Op: "cpu"})
	return a.CPU, err
}

// close ends the process by closing the control socket, and waits for it.
func (r *remote) close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return ErrClosed
	}
	r.closed = true
	r.mu.Unlock()
	return errors.Join(r.control.Close(), r.cmd.Wait())
}

// emulate is the whole life of an emulator process.
func emulate() error {
	hurryProcess()
	control := os.NewFile(controlFD, "lab control")
	unix.CloseOnExec(controlFD)
	enc, dec := json.NewEncoder(control), json.NewDecoder(control)
	var s remoteSetup
	if err := dec.Decode(&s); err != nil {
		return err
	}
	ends := make([][2]*device, len(s.Paths))
	for i := range ends {
		for side := range 2 {
			fd := firstDeviceFD + 2*i + side
			if err := unix.SetNonblock(fd, true); err != nil {
				return err
			}
			ends[i][side] = &device{fd: fd, ether: s.Ether[i][side]}
		}
	}
	e, err := newEmulation(Config{Grain: s.Grain, Seed: s.Seed, Paths: s.Paths}, ends)
	if err != nil {
		return err
	}
	for err = enc.Encode(answer{}); err == nil; {
		var q request
		if dec.Decode(&q) != nil {
			break // the program is gone, or wants us gone
		}
		err = enc.Encode(e.answer(q))
	}
	return errors.Join(err, e.close())
}

// answer carries out one request.
func (e *emulation) answer(q request) (a answer) {
	var err error
	switch {
	case q.Path < 0 || q.Path >= len(e.paths):
		err = fmt.Errorf("emulator: no path %d", q.Path)
	case q.Op == "configure":
		err = e.configure(q.Path, q.Up, q.Down)
	case q.Op == "down":
		err = e.setDown(q.Path, q.Dir, q.Flag)
	case q.Op == "reset":
		err = e.reset(q.Path)
	case q.Op == "stats":
		a.Stats, err = e.stats(q.Path)
	case q.Op == "cpu":
		a.CPU, err = e.cpu()
	default:
		err = fmt.Errorf("emulator: no operation %q", q.Op)
	}
	if err != nil {
		a.Err = err.Error()
	}
	return a
}

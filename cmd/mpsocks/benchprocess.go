package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// benchProcess is a client or an egress that a stage has started.
type benchProcess struct {
	cmd   *exec.Cmd
	log   *slog.Logger
	seen  func(line string) // gets its log; may be nil
	ready chan struct{}     // closed when it has said that it is ready
	gone  chan struct{}     // closed when it has ended

	mu   sync.Mutex // guards what follows
	tail []string   // the last lines of its log
	said string     // the line that says that it is ready
	err  error      // why it ended
}

const (
	tailLines = 5
	stopTime  = 3 * time.Second // for a process that was asked to end
)

// startProcess starts a command and waits until it is ready.
func startProcess(ctx context.Context, cmd *exec.Cmd, log *slog.Logger) (*benchProcess, error) {
	return startProcessWatched(ctx, cmd, log, nil)
}

// startProcessWatched is startProcess with a function that gets every line of the
// log, and must not block.
func startProcessWatched(ctx context.Context, cmd *exec.Cmd, log *slog.Logger, seen func(line string)) (*benchProcess, error) {
	p := &benchProcess{cmd: cmd, log: log, seen: seen, ready: make(chan struct{}), gone: make(chan struct{})}
	r, w := io.Pipe()
	cmd.Stderr = w
	ownGroup(cmd)
	started := make(chan error, 1)
	go p.follow(r)
	go p.live(w, started)
	if err := <-started; err != nil {
		return nil, err
	}
	select {
	case <-p.ready:
		return p, nil
	case <-p.gone:
		return nil, fmt.Errorf("ended before it was ready: %w", p.reason())
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx), p.stop())
	}
}

// live is the life of the process. It stays on one thread: that is what the
// kernel watches to end the child with us.
func (p *benchProcess) live(log *io.PipeWriter, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.gone)
	err := p.cmd.Start()
	started <- err
	if err == nil {
		err = p.cmd.Wait()
	}
	_ = log.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// follow reads the log of the process.
func (p *benchProcess) follow(r *io.PipeReader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		p.log.Debug(line, "pid", p.pid())
		if p.seen != nil {
			p.seen(line)
		}
		p.mu.Lock()
		p.tail = append(p.tail, line)
		p.tail = p.tail[max(0, len(p.tail)-tailLines):]
		isReady := p.said == "" && strings.Contains(line, " ready ")
		if isReady {
			p.said = line
		}
		p.mu.Unlock()
		if isReady {
			close(p.ready)
		}
	}
	_ = r.CloseWithError(lines.Err()) // a line that is too long must not stop the process
}

// readyWords are the key=value words of the line that says that it is ready.
func (p *benchProcess) readyWords() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	words := make(map[string]string)
	for w := range strings.FieldsSeq(p.said) {
		if k, v, ok := strings.Cut(w, "="); ok {
			words[k] = v
		}
	}
	return words
}

// reason is why the process ended, in its own words.
func (p *benchProcess) reason() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Errorf("%w: %s", p.err, strings.Join(p.tail, "; "))
}

func (p *benchProcess) pid() int {
	if p == nil || p.cmd.Process == nil {
		return -1
	}
	return p.cmd.Process.Pid
}

// spent is the processor time of a process that has ended.
func (p *benchProcess) spent() time.Duration {
	select {
	case <-p.gone:
		return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
	default:
		return 0
	}
}

// stop ends the process, by force if it takes its time.
func (p *benchProcess) stop() error {
	select {
	case <-p.gone:
		return fmt.Errorf("%s ended by itself: %w", p.cmd.Args[len(p.cmd.Args)-3], p.reason())
	default:
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		_ = p.cmd.Process.Kill() // it ends at this moment, or the system has no such signal
	}
	t := time.NewTimer(stopTime)
	defer t.Stop()
	select {
	case <-p.gone:
	case <-t.C:
		_ = p.cmd.Process.Kill()
		<-p.gone
	}
	return nil
}

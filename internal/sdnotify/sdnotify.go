// Package sdnotify tells the service manager of Linux how the program does, by the
// protocol of sd_notify(3): datagrams of NAME=value lines to the unix socket that
// NOTIFY_SOCKET names. Without that variable, as on other systems, nothing happens.
package sdnotify

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// The states of sd_notify(3) that are told here.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
	watchdog = "WATCHDOG=1"
)

// writeTime bounds a message: a manager that does not read must not hold the program up.
const writeTime = time.Second

// A Notifier tells one service manager. The zero Notifier tells nobody. Safe for
// concurrent use.
type Notifier struct {
	socket string
	every  time.Duration // the watchdog's patience; zero: there is none

	mu   sync.Mutex
	conn net.Conn
}

// FromEnvironment is the manager that started this process, if one did. WATCHDOG_PID, if
// set, must be this process.
func FromEnvironment() *Notifier {
	n := &Notifier{socket: os.Getenv("NOTIFY_SOCKET")}
	if pid := os.Getenv("WATCHDOG_PID"); pid == "" || pid == strconv.Itoa(os.Getpid()) {
		micros, _ := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64) // nothing, or nonsense: none
		n.every = time.Duration(max(micros, 0)) * time.Microsecond
	}
	return n
}

// Tell sends states, one a line, such as Ready and "STATUS=what people read". An error says
// that the manager did not get them.
func (n *Notifier) Tell(states ...string) error {
	if n.socket == "" {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn == nil {
		// Go, like sd_notify, takes a leading @ for the abstract name space.
		conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
		if err != nil {
			return fmt.Errorf("notify the service manager: %w", err)
		}
		n.conn = conn
	}
	var text []byte
	for _, s := range states {
		text = append(append(text, s...), '\n')
	}
	_ = n.conn.SetWriteDeadline(time.Now().Add(writeTime)) // fails only on what is closed
	if _, err := n.conn.Write(text); err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	return nil
}

// ExtendTimeout asks the manager to wait so much longer for what is under way.
func ExtendTimeout(d time.Duration) string {
	return fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", d.Microseconds())
}

// Watchdog tells the manager again and again that the program is alive, until ctx ends, if
// the manager wants that. alive is asked each time before: while it does not return, the
// manager hears nothing, and restarts the program.
func (n *Notifier) Watchdog(ctx context.Context, alive func()) {
	if n.socket == "" || n.every <= 0 {
		return
	}
	tick := time.NewTicker(max(n.every/3, time.Millisecond)) // two may come late
	defer tick.Stop()
	for ctx.Err() == nil {
		alive()
		_ = n.Tell(watchdog) // what is lost is told again
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// Close lets go of the socket.
func (n *Notifier) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn == nil {
		return nil
	}
	err := n.conn.Close()
	n.conn = nil
	return err
}

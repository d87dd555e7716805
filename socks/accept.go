package socks

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/mpsocks/mpsocks/internal/relay"
	"github.com/mpsocks/mpsocks/internal/seldom"
)

const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = 500 * time.Millisecond
	maxRefusals    = 128 // in a row, without looking for descriptors again
)

// acceptor takes connections from a listener and does not give up: running out of
// descriptors ends some day, and so do all errors but that of a closed listener.
type acceptor struct {
	ln   net.Listener
	log  *slog.Logger
	quit <-chan struct{}
	// spare is a descriptor to be given up when there are none left, so that a
	// client can be refused rather than left waiting. It is nil when it is not
	// needed or could not be had.
	spare  *os.File
	warned seldom.Line
}

// run calls take with every connection until the listener or quit is closed.
func (a *acceptor) run(take func(net.Conn)) error {
	a.reserve()
	defer a.release()
	pause := time.Duration(0)
	for {
		c, err := a.ln.Accept()
		if err == nil {
			pause = 0
			take(c)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		a.warn(err)
		if isOutOfFiles(err) {
			a.refuseWaiting()
		}
		pause = min(max(2*pause, minAcceptPause), maxAcceptPause)
		if !a.sleep(pause) {
			return net.ErrClosed
		}
	}
}

func (a *acceptor) warn(err error) {
	if hushed, tell := a.warned.Now(); tell {
		a.log.Warn("cannot accept, will go on trying", "local", a.ln.Addr().String(), "err", err, "repeated", hushed)
	}
}

func (a *acceptor) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-a.quit:
		return false
	}
}

func isOutOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

func (a *acceptor) reserve() {
	if a.spare == nil {
		a.spare, _ = os.Open(os.DevNull) // without it clients wait instead
	}
}

func (a *acceptor) release() {
	if a.spare != nil {
		_ = a.spare.Close()
		a.spare = nil
	}
}

// refuseWaiting resets the clients that wait to be accepted. Somebody else may take
// the spare descriptor first; then they wait on.
func (a *acceptor) refuseWaiting() {
	d, ok := a.ln.(interface{ SetDeadline(time.Time) error })
	if a.spare == nil || !ok {
		a.reserve()
		return
	}
	a.release()
	_ = d.SetDeadline(time.Now().Add(minAcceptPause)) // until there are none
	for range maxRefusals {
		c, err := a.ln.Accept()
		if err != nil {
			break
		}
		_ = relay.Reset(c)
	}
	_ = d.SetDeadline(time.Time{})
	a.reserve()
}

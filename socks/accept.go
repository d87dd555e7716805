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
	maxRefusePause = 50 * time.Millisecond // without descriptors: clients wait to be refused
	maxRefusals    = 128                   // in a row, without looking for descriptors again
	// spares are held because others of this program may want a descriptor in the moment in which one is given up.
	spares = 4
)

// acceptor takes connections from a listener and does not give up: running out of
// descriptors ends some day, and so do all errors but that of a closed listener.
type acceptor struct {
	ln   net.Listener
	log  *slog.Logger
	quit <-chan struct{}
	// waiting reports whether a client waits to be accepted. Nil: the listener is asked.
	waiting func() bool

	// spare are descriptors to be given up, one at a time, when there are none left,
	// so that a client can be refused rather than left waiting.
	spare  []*os.File
	warned seldom.Line
}

// run calls take with every connection until the listener or quit is closed.
func (a *acceptor) run(take func(net.Conn)) error {
	defer a.releaseAll()
	if a.waiting == nil {
		a.waiting = func() bool { return clientWaits(a.ln) }
	}
	pause := time.Duration(0)
	for {
		a.reserve() // what has become free is for this first
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
		most := maxAcceptPause
		if isOutOfFiles(err) {
			a.refuseWaiting()
			most = maxRefusePause
		}
		pause = min(max(2*pause, minAcceptPause), most)
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
	for len(a.spare) < spares {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return // without any, clients wait
		}
		a.spare = append(a.spare, f)
	}
}

func (a *acceptor) release() {
	last := len(a.spare) - 1
	_ = a.spare[last].Close()
	a.spare = a.spare[:last]
}

func (a *acceptor) releaseAll() {
	for len(a.spare) > 0 {
		a.release()
	}
}

// refuseWaiting resets the clients that wait to be accepted. While none does it gives nothing up: whoever else in this program wants a
// descriptor takes what is free, for good, and then nobody could be refused any more.
func (a *acceptor) refuseWaiting() {
	d, ok := a.ln.(interface{ SetDeadline(time.Time) error })
	if len(a.spare) == 0 || !ok || !a.waiting() {
		return
	}
	a.release()
	_ = d.SetDeadline(time.Now().Add(minAcceptPause)) // they may have left meanwhile
	for range maxRefusals {
		c, err := a.ln.Accept()
		if err != nil {
			break
		}
		_ = relay.Reset(c)
		if !a.waiting() {
			break
		}
	}
	_ = d.SetDeadline(time.Time{})
}

package proto

import (
	"bytes"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
)

// simSide is what one side's application does with a stream.
type simSide struct {
	write      int           // octets it writes before it closes
	chunk      int           // at most so many at a time
	gap        time.Duration // between writes
	abortAt    int           // resets the stream once that many were written; -1: never
	readMost   int           // takes at most so many octets at a time; 0: all there are
	readGap    time.Duration // and then rests for so long
	pauseAt    int           // stops reading there
	pauseFor   time.Duration
	closeRead  int  // stops for good after that many octets; -1: never
	closeAfter bool // calls CloseRead after the end, too
}

// simApp is one side's application on a stream.
type simApp struct {
	p            *simPeer
	st           *Stream
	plan, peer   *simSide
	wrote, read  int
	wdone, rdone bool
	aborted      bool
	resting      bool
	paused       bool
	code         Code // how reading ended
	writeErr     Code
}

func (a *simApp) done() bool { return a.wdone && a.rdone }

func (a *simApp) readable() {
	if a.rdone || a.resting {
		return
	}
	for taken := 0; ; {
		if a.plan.pauseFor > 0 && !a.paused && a.read >= a.plan.pauseAt {
			a.paused = true
			a.rest(a.plan.pauseFor)
			return
		}
		if a.plan.readMost > 0 && taken >= a.plan.readMost {
			a.rest(a.plan.readGap)
			return
		}
		if a.plan.closeRead >= 0 && a.read >= a.plan.closeRead {
			a.stopReading()
			return
		}
		buf := a.st.Next()
		if buf == nil {
			break
		}
		a.verify(buf.B)
		n := len(buf.B)
		taken += n
		buf.Free()
		a.st.Consumed(a.p.now(), n)
	}
	if end, code := a.st.ReadErr(); end || code != CodeNone {
		a.rdone, a.code = true, code
		if !end || a.plan.closeAfter {
			a.st.CloseRead(a.p.now())
		}
	}
}

func (a *simApp) verify(p []byte) {
	if want := pattern(a.st.id, !a.p.s.cfg.Client, a.read, len(p)); !bytes.Equal(p, want) {
		a.p.sim.fatalf("%s: stream %d: wrong octets at %d+%d", a.p.name, a.st.id, a.read, len(p))
	}
	a.read += len(p)
	if a.read > a.peer.write {
		a.p.sim.fatalf("%s: stream %d: read %d octets, only %d are ever written", a.p.name, a.st.id, a.read, a.peer.write)
	}
}

func (a *simApp) rest(d time.Duration) {
	a.resting = true
	a.p.sim.clock.after(d, func() {
		a.resting = false
		a.readable()
		a.p.drain()
	})
}

func (a *simApp) stopReading() {
	a.rdone = true
	a.st.CloseRead(a.p.now())
}

// start begins to write.
func (a *simApp) start() { a.writable() }

func (a *simApp) writable() {
	for !a.wdone {
		if a.plan.abortAt >= 0 && a.wrote >= a.plan.abortAt {
			a.aborted, a.wdone, a.rdone = true, true, true
			a.st.Reset(a.p.now(), CodeReset)
			return
		}
		if a.wrote == a.plan.write {
			a.wdone = true
			a.st.CloseWrite(a.p.now())
			return
		}
		if a.writeErr = a.st.WriteErr(); a.writeErr != CodeNone {
			a.wdone = true
			return
		}
		room := a.st.Room()
		if room == 0 {
			a.st.WantWritable()
			return
		}
		a.put(room)
		if a.plan.gap > 0 {
			a.p.sim.clock.after(a.plan.gap, func() {
				a.writable()
				a.p.drain()
			})
			return
		}
	}
}

// put writes some octets: behind those written last if they fit there, else in a buffer of their own.
func (a *simApp) put(room int) {
	n := min(1+a.p.sim.rng.intN(a.plan.chunk), room, a.plan.write-a.wrote)
	if a.plan.abortAt >= 0 {
		n = min(n, a.plan.abortAt-a.wrote)
	}
	p := pattern(a.st.id, a.p.s.cfg.Client, a.wrote, n)
	done := 0
	if n < 4096 {
		done = a.st.Fill(p)
	}
	if done < n {
		buf := bufpool.Get(n - done)
		copy(buf.B, p[done:])
		a.st.Append(buf)
	}
	a.wrote += n
}

const patternPrime = 65521

// patternTable repeats after a prime number of octets, so that no shift by a power of two looks right.
var patternTable = func() []byte {
	t := make([]byte, patternPrime+1<<17)
	x := uint32(1)
	for i := range t {
		if i >= patternPrime {
			t[i] = t[i-patternPrime]
			continue
		}
		x = x*1664525 + 1013904223
		t[i] = byte(x >> 24)
	}
	return t
}()

// pattern returns the n octets that stand at an offset of a stream's direction.
func pattern(id StreamID, fromClient bool, offset, n int) []byte {
	k := offset + int(id%patternPrime)*7919
	if fromClient {
		k += 31
	}
	k %= patternPrime
	return patternTable[k : k+n]
}

// verdict compares how the stream ended for both applications with what they did.
func (a *simApp) verdict(b *simApp) {
	sim := a.p.sim
	clean := !a.aborted && !b.aborted && b.plan.closeRead < 0
	switch {
	case clean && (b.code != CodeNone || b.read != a.plan.write || a.writeErr != CodeNone):
		sim.fatalf("%s -> %s: stream %d: wrote %d of %d (%v), read %d, ended with %v", a.p.name, b.p.name, a.st.id, a.wrote, a.plan.write, a.writeErr, b.read, b.code)
	case b.code != CodeNone && b.code != CodeReset && b.code != CodeStopped:
		sim.fatalf("%s: stream %d: reading ended with %v", b.p.name, b.st.id, b.code)
	case a.aborted && !b.aborted && b.plan.closeRead < 0 && b.code != CodeReset:
		sim.fatalf("%s: stream %d: the peer reset after %d octets, reading %d ended with code %v", b.p.name, b.st.id, a.wrote, b.read, b.code)
	}
}

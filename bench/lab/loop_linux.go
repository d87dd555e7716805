package lab

import (
	"encoding/binary"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// port is a device with the wire that its packets enter and the device where
// they come out.
type port struct {
	dev   *device
	out   *wire
	back  *wire // the other direction
	peer  *device
	side  int // atClient or atServer
	flows *flowTable
}

// loop moves the packets: one thread that owns every wire and device. Others
// reach that state only through do.
type loop struct {
	epoch time.Time
	ports []*port
	pool  *bufferPool
	grain int64 // ns, see Config.Grain
	wake  int   // eventfd

	in  []byte // what a read brings
	out []byte // what a write takes

	mu      sync.Mutex // guards what follows
	pending []func(now int64)
	started bool
	closed  bool

	done chan struct{} // closed when run has ended
}

func newLoop(grain time.Duration) (*loop, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	return &loop{
		epoch: time.Now(), pool: newBufferPool(), grain: int64(grain), wake: fd,
		in: make([]byte, vnetLen+etherLen+maxPacket), out: make([]byte, 0, vnetLen+maxPacket+256),
		done: make(chan struct{}),
	}, nil
}

// join connects the devices of a path, by side, through its wires. Only before
// start.
func (l *loop) join(ends [2]*device, up, down *wire, flows *flowTable) {
	up.free, down.free = l.pool.put, l.pool.put
	l.ports = append(l.ports,
		&port{dev: ends[atClient], out: up, back: down, peer: ends[atServer], side: atClient, flows: flows},
		&port{dev: ends[atServer], out: down, back: up, peer: ends[atClient], side: atServer, flows: flows})
}

func (l *loop) now() int64 { return int64(time.Since(l.epoch)) }

// start runs the loop on a goroutine of its own, which close waits for.
func (l *loop) start() {
	l.mu.Lock()
	l.started = true
	l.mu.Unlock()
	go l.run()
}

// run moves packets until close.
func (l *loop) run() {
	runtime.LockOSThread() // never unlocked: the thread's settings end with it
	hurry()
	defer close(l.done)
	defer l.release()
	fds := make([]unix.PollFd, 0, len(l.ports)+1)
	for _, p := range l.ports {
		fds = append(fds, unix.PollFd{Fd: int32(p.dev.fd), Events: unix.POLLIN})
	}
	fds = append(fds, unix.PollFd{Fd: int32(l.wake), Events: unix.POLLIN})
	for {
		if fds[len(fds)-1].Revents != 0 && !l.runPending() {
			break
		}
		busy := false
		for i, p := range l.ports {
			if fds[i].Revents != 0 {
				busy = true
				l.receive(p)
			}
		}
		for _, p := range l.ports {
			l.deliver(p)
		}
		next := never
		for _, p := range l.ports { // after all of them: a delivery may put something on the way back
			next = min(next, p.out.next())
		}
		if busy && l.grain > 0 {
			l.wait(nil, l.now()+l.grain)
		}
		l.wait(fds, next)
	}
}

// release gives back what the loop owns.
func (l *loop) release() {
	for _, p := range l.ports {
		p.out.drain()
		p.dev.close()
	}
}

// hurry asks for exact timers and for the processor as soon as one fires. A
// refusal only costs accuracy.
func hurry() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	_ = realTime(0, unix.SCHED_FLAG_RESET_ON_FORK)
}

// realTime puts a thread above everything that is not real-time.
func realTime(tid int, flags uint64) error {
	return unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1, Flags: flags}, 0)
}

// hurryProcess does it for all threads of a process that is only an emulator,
// and for those that they start. The loop's thread alone is not enough: it may
// have to wait for a lock of the Go runtime whose holder is not being run. (On a
// machine with eight times the load it can carry: at most 10 ms late, not 100.)
func hurryProcess() {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range tasks {
		if tid, err := strconv.Atoi(t.Name()); err == nil && realTime(tid, 0) != nil {
			return
		}
	}
}

// receiveBudget bounds the packets read from one device in a row, so that a
// flooding sender does not hold up the deliveries of other paths.
const receiveBudget = 64

func (l *loop) receive(p *port) {
	now := l.now()
	for range receiveBudget {
		b := p.dev.read(l.in)
		if b == nil {
			return
		}
		pkt := l.pool.get(b[vnetLen:])
		pkt.v = parseVnet(b)
		if pkt.parse() != nil {
			l.pool.put(pkt)
			continue
		}
		p.flows.sent(pkt, p.side)
		p.out.arrive(now, pkt)
	}
}

// deliver hands over what is due on one wire.
func (l *loop) deliver(p *port) {
	now := l.now()
	for {
		r, ok := p.out.deliver(now, now+l.grain)
		if !ok {
			return
		}
		if p.out.refuses(r.p) {
			l.refuse(now, p, r)
			continue
		}
		l.out = r.p.emit(l.out[:0], r.first, r.last)
		if r.harm != harmNone {
			r.p.damage(l.out, r.harm, r.seed)
		}
		p.flows.delivered(r, 1-p.side)
		p.out.done(r, p.peer.write(l.out))
	}
}

// refuse answers a packet that opens a connection by a reset, which takes the way back.
func (l *loop) refuse(now int64, p *port, r run) {
	reset := l.pool.get(r.p.flow.reset(p.side)[vnetLen:])
	reset.v = vnet{} // its checksum is complete
	if reset.parse() == nil {
		p.back.arrive(now, reset)
	} else {
		l.pool.put(reset)
	}
	p.out.done(r, true)
}

// wait sleeps until one of fds is readable (a packet comes, someone calls do) or
// next is past.
func (l *loop) wait(fds []unix.PollFd, next int64) {
	var ts *unix.Timespec
	if next != never {
		t := unix.NsecToTimespec(max(0, next-l.now()))
		ts = &t
	}
	if _, err := unix.Ppoll(fds, ts, nil); err != nil {
		for i := range fds {
			fds[i].Revents = 0
		}
	}
}

// do runs f on the loop's thread and returns when it has run.
func (l *loop) do(f func(now int64)) error {
	ran := make(chan struct{})
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	l.pending = append(l.pending, func(now int64) { f(now); close(ran) })
	l.kickLocked()
	l.mu.Unlock()
	<-ran
	return nil
}

// kickLocked wakes the loop. Under mu, so that the descriptor cannot have been
// closed: close sets closed first. The write never blocks.
func (l *loop) kickLocked() {
	one := binary.NativeEndian.AppendUint64(nil, 1)
	_, _ = unix.Write(l.wake, one)
}

// runPending runs what do has left, and reports whether to go on.
func (l *loop) runPending() bool {
	var b [8]byte
	_, _ = unix.Read(l.wake, b[:])
	l.mu.Lock()
	fs, closed := l.pending, l.closed
	l.pending = nil
	l.mu.Unlock()
	for _, f := range fs {
		f(l.now())
	}
	return !closed
}

// close ends run and waits for it. The devices go with it.
func (l *loop) close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	l.closed = true
	l.kickLocked()
	started := l.started
	l.mu.Unlock()
	if started {
		<-l.done
	} else {
		l.release()
	}
	return unix.Close(l.wake)
}

package relay

import (
	"time"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
)

// The watch is one timer a pair. It looks at what the flows have counted and
// takes no part in moving bytes: deadlines re-armed at every read and write would
// cost more, and a write deadline that passes ruins a TLS connection.

// looks is how often the watch looks within a bound. A bound is over when
// looks-1 looks in a row have seen no change, so never later than it says.
const looks = 8

func (p *pair) startWatch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now().UnixNano()
	for i := range p.flows {
		p.flows[i].since = now
	}
	if d := p.periodLocked(); d > 0 {
		p.watch = time.AfterFunc(d, p.look)
	}
}

// periodLocked returns the time to the next look, 0 for never.
func (p *pair) periodLocked() time.Duration {
	d := max(p.cfg.WriteStall, 0)
	if idle := p.cfg.HalfClosedIdle; p.half && idle > 0 && (d == 0 || idle < d) {
		d = idle
	}
	if d == 0 {
		return 0
	}
	return max(d/looks, 1)
}

// ended notes the end of f: the pair is half-closed now, or over, which it
// reports.
func (p *pair) ended(f *flow) (over bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.over = true
	if p.asking != nil && p.asking != f {
		close(p.asked)
	}
	if p.half {
		return true
	}
	p.half = true
	now := time.Now().UnixNano()
	for i := range p.flows {
		p.flows[i].since = now // idleness counts from the half-close
	}
	switch d := p.periodLocked(); {
	case d == 0:
	case p.watch == nil:
		p.watch = time.AfterFunc(d, p.look)
	default:
		p.watch.Reset(d)
	}
	return false
}

func (p *pair) endWatch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.watch != nil {
		p.watch.Stop()
	}
}

// look cuts the pair when one of its flows has stood still for too long.
func (p *pair) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	now := time.Now().UnixNano()
	for i := range p.flows {
		f := &p.flows[i]
		if f.over {
			continue
		}
		steps, writing := f.progress()
		if steps != f.seen {
			f.seen, f.since = steps, now
			continue
		}
		bound, reason := p.cfg.WriteStall, ErrStalled
		if !writing {
			bound, reason = p.cfg.HalfClosedIdle, ErrIdle
			if !p.half {
				continue
			}
		}
		if bound > 0 && time.Duration(now-f.since) >= bound/looks*(looks-1) {
			p.cutLocked(reason)
			return
		}
	}
	p.watch.Reset(p.periodLocked())
}

// progress returns a number that changes when the flow has moved bytes, and
// whether bytes are waiting for the destination.
func (f *flow) progress() (steps uint64, writing bool) {
	if sock := f.spliced.Load(); sock != nil {
		return spliceProgress(sock)
	}
	return f.steps.Load(), f.writing.Load()
}

func spliceProgress(sock *tcpsock.Socket) (uint64, bool) {
	info, _ := sock.Info()
	return info.BytesAcked, info.NotSent > 0 || info.Unacked > 0
}

package bench

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Progress shows people how far a run is. All methods do nothing on nil.
type Progress struct {
	w    io.Writer
	live bool // w is a terminal: one line that changes

	mu       sync.Mutex // guards what follows
	started  time.Time
	planned  time.Duration // estimate of everything
	passed   time.Duration // estimate of what is done
	spent    time.Duration // what that really took
	turns, n int
	where    string
	stop     chan struct{}
	stopped  chan struct{}
}

// NewProgress shows progress on w; live says that w is a terminal.
func NewProgress(w io.Writer, live bool) *Progress { return &Progress{w: w, live: live} }

// progressPace is how often the line on a terminal changes.
const progressPace = 250 * time.Millisecond

func (p *Progress) begin(planned time.Duration, turns int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	p.started, p.planned, p.turns = time.Now(), planned, turns
	p.mu.Unlock()
	fmt.Fprintf(p.w, "%d turns, about %s\n", turns, human(planned))
	if p.live {
		p.stop, p.stopped = make(chan struct{}), make(chan struct{})
		go p.draw()
	}
}

// draw changes the line until end.
func (p *Progress) draw() {
	defer close(p.stopped)
	t := time.NewTicker(progressPace)
	defer t.Stop()
	for {
		select {
		case <-p.stop:
			fmt.Fprint(p.w, clearLine)
			return
		case <-t.C:
			p.mu.Lock()
			fmt.Fprint(p.w, clearLine+p.lineLocked(time.Now()))
			p.mu.Unlock()
		}
	}
}

const clearLine = "\r\x1b[K"

func (p *Progress) end() {
	if p == nil || !p.live {
		return
	}
	close(p.stop)
	<-p.stopped
}

// lineLocked is the line as it is now.
func (p *Progress) lineLocked(now time.Time) string {
	const width = 20
	total := p.totalLocked()
	share := 0.0
	if total > 0 {
		share = min(1, now.Sub(p.started).Seconds()/total.Seconds())
	}
	full := int(share * width)
	return fmt.Sprintf("[%s%s] %3.0f %%  %s left  turn %d/%d  %s", strings.Repeat("#", full), strings.Repeat(".", width-full),
		100*share, human(max(0, total-now.Sub(p.started))), p.n, p.turns, p.where)
}

// totalLocked is how long everything takes, corrected by how long what is done
// took against its estimate.
func (p *Progress) totalLocked() time.Duration {
	if p.passed <= 0 {
		return p.planned
	}
	return p.spent + time.Duration(float64(p.planned-p.passed)*p.spent.Seconds()/p.passed.Seconds())
}

func (p *Progress) turn(scenario, transport string, rep int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	p.where = fmt.Sprintf("%s, %s, repetition %d", scenario, transport, rep)
}

func (p *Progress) work(name string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.where, _, _ = strings.Cut(p.where, ": ")
	p.where += ": " + name
}

// more says that there is more to do than was planned.
func (p *Progress) more(d time.Duration) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.planned += d
}

// done says that a turn is over, how long it was expected to take and took.
func (p *Progress) done(expected, took time.Duration) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passed += expected
	p.spent += took
}

// result shows what a run found.
func (p *Progress) result(res *Results, run *Run) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	line := fmt.Sprintf("%-12s %-10s %-9s %d  %s\n", run.Scenario, run.Transport, run.Workload, run.Rep, res.oneLine(run))
	if p.live {
		line = clearLine + line
	}
	fmt.Fprint(p.w, line)
}

// human is a time as people say it.
func human(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()+0.5))
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
}

package decisions

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// Bounds of what is read.
const (
	maxLine  = 16 << 10
	maxLines = 3_000_000
	maxPaths = 16
	maxSubs  = 1000 // connections of a path
	maxMarks = 2000 // of a path
	maxName  = 40
)

// line is an event as far as it is of use here.
type line struct {
	At       time.Time `json:"at"`
	Session  string    `json:"session"`
	Path     string    `json:"path"`
	Subflow  int       `json:"subflow"`
	AddrID   *int      `json:"addr_id"`
	Name     string    `json:"name"`
	Reason   string    `json:"reason"`
	Phase    string    `json:"phase"`
	To       string    `json:"to"`
	Kind     string    `json:"kind"`
	Control  string    `json:"control"`
	Len      float64   `json:"len"`
	InFlight *float64  `json:"in_flight"`
	Limit    *float64  `json:"limit"`
	Held     float64   `json:"held_us"`
	Silent   float64   `json:"silent_us"`
	Rate     float64   `json:"rate"`
	MinRTT   float64   `json:"min_rtt_us"`
	SRTT     float64   `json:"srtt_us"`
	Events   float64   `json:"events"` // of trace:dropped
}

// Side is what one end of a session decided. Times are seconds since Origin.
type Side struct {
	Origin  time.Time // of the first event
	Paths   []*Path   // in the order in which they appeared
	Dropped int       // events that the recorder had no room for
	Cut     bool      // there were more lines, or paths, than are read
	Skipped int       // lines that are no events

	last time.Time
}

// Path is what was decided about a path.
type Path struct {
	Name string
	ID   int // its address ID: the same at both ends

	sent    []sent
	gauges  []gauge
	beliefs []belief
	holds   []change
	Marks   []Mark // what happened to it

	subs map[subID]*sub
}

// Mark is something that happened at a time.
type Mark struct {
	At   float64
	What string
}

// NoAnswer is the Mark of a path that has become silent.
const NoAnswer = "no answer"

type sent struct {
	at     float64
	octets float64
	kind   Kind
	reason string
}

type gauge struct{ at, inFlight, limit float64 } // not a number: not told

type belief struct {
	at, rate, minRTT, srtt float64 // octets per second, seconds
	phase                  Phase
}

// over stands for a figure that is not known any more.
const over = -1

type change struct {
	at   float64
	hold Hold
}

type subID struct {
	session string
	number  int
}

// sub is a connection of the path while the trace is read.
type sub struct {
	hold    Hold
	suspect bool
	asked   float64 // when it was last given something, or said why not
}

// Read reads a trace. It fails where r does; what is no event is skipped and counted.
func Read(r io.Reader) (*Side, error) {
	s := &Side{}
	lines := bufio.NewReaderSize(r, maxLine)
	for n := 0; ; n++ {
		text, err := lines.ReadSlice('\n')
		long := false
		for errors.Is(err, bufio.ErrBufferFull) {
			long = true
			_, err = lines.ReadSlice('\n')
		}
		if n == maxLines && (len(text) > 0 || err == nil) {
			s.Cut = true
			return s, nil
		}
		var l line
		switch {
		case len(text) == 0:
		case long || json.Unmarshal(text, &l) != nil || l.Name == "" || l.At.IsZero():
			s.Skipped++
		default:
			s.take(&l)
		}
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read trace: %w", err)
		}
	}
}

// maxSpan bounds the time between the first event and any other.
const maxSpan = 7 * 24 * time.Hour

func (s *Side) take(l *line) {
	if s.Origin.IsZero() {
		s.Origin = l.At
	}
	if d := l.At.Sub(s.Origin); d < 0 || d > maxSpan || l.At.Before(s.last) {
		l.At = s.last // clocks may be set; order counts for more
	}
	s.last = l.At
	if l.Name == "trace:dropped" {
		s.Dropped += int(size(l.Events))
		return
	}
	if l.Subflow == 0 || l.AddrID == nil {
		return
	}
	p := s.path(*l.AddrID)
	if p == nil {
		s.Cut = true
		return
	}
	if l.Path != "" {
		p.Name = clip(l.Path)
	}
	p.take(l.At.Sub(s.Origin).Seconds(), l)
}

// path finds a path, or makes it; nil if there are too many.
func (s *Side) path(id int) *Path {
	for _, p := range s.Paths {
		if p.ID == id {
			return p
		}
	}
	if len(s.Paths) >= maxPaths {
		return nil
	}
	p := &Path{ID: id, Name: fmt.Sprintf("path %d", id), subs: make(map[subID]*sub), holds: []change{{0, Down}}}
	s.Paths = append(s.Paths, p)
	return p
}

// clip cuts a name to what can be shown.
func clip(name string) string {
	if r := []rune(name); len(r) > maxName {
		return string(r[:maxName])
	}
	return name
}

// size is a number that cannot be negative, and is one.
func size(v float64) float64 {
	if !(v > 0) || v > 1e15 {
		return 0
	}
	return v
}

func orNaN(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return size(*v)
}

// take takes in an event about the path.
func (p *Path) take(at float64, l *line) {
	if l.Name == "data:lost" { // told when the connection is gone already
		p.mark(at, fmt.Sprintf("lost %.0f kB", size(l.Len)/1e3))
		return
	}
	id := subID{l.Session, l.Subflow}
	c := p.subs[id]
	if c == nil {
		if len(p.subs) >= maxSubs || l.Name == "subflow:closed" {
			return
		}
		c = &sub{hold: Sending, asked: at}
		p.subs[id] = c
	}
	if l.InFlight != nil || l.Limit != nil {
		p.gauges = append(p.gauges, gauge{at, orNaN(l.InFlight), orNaN(l.Limit)})
	}
	switch l.Name {
	case "data:mapping_sent", "data:reinjected":
		p.sent = append(p.sent, sent{at, size(l.Len), kindOf(l.Name, l.Reason), clip(l.Reason)})
		c.hold, c.asked = Sending, at
	case "sched:held":
		c.hold, c.asked = holdOf(l.Reason), at
	case "sched:released":
		if l.Reason == "socket" {
			p.waited(at - size(l.Held)/1e6)
		}
		c.hold = Sending
	case "subflow:estimated":
		p.beliefs = append(p.beliefs, belief{at, size(l.Rate), size(l.MinRTT) / 1e6, size(l.SRTT) / 1e6, phaseOf(l.Phase)})
	default:
		p.happened(at, id, c, l)
	}
	p.settle(at)
}

// happened takes in what changes the state of a connection.
func (p *Path) happened(at float64, id subID, c *sub, l *line) {
	switch l.Name {
	case "subflow:started":
		p.mark(at, "joined")
	case "subflow:closed":
		p.silence(c)
		delete(p.subs, id)
		p.mark(at, "closed")
		if len(p.subs) == 0 {
			p.gauges = append(p.gauges, gauge{at, over, over})
			p.beliefs = append(p.beliefs, belief{at, over, over, over, Unknown})
		}
	case "subflow:state_updated":
		if l.To == "suspect" {
			p.silence(c)
			p.mark(at, NoAnswer)
		} else if c.suspect {
			p.mark(at, "answers again")
		}
		c.suspect = l.To == "suspect"
	case "subflow:congestion_set":
		p.mark(at, "control "+clip(l.Control))
	}
}

func (p *Path) mark(at float64, what string) {
	if len(p.Marks) < maxMarks {
		p.Marks = append(p.Marks, Mark{at, what})
	}
}

// longWait is how long a connection that is given things must not have asked for its socket to have been full.
const longWait = 0.005

// silence notes that a connection about which nothing was heard since it was given something waited for its socket: it never told.
func (p *Path) silence(c *sub) {
	if c.hold == Sending && !c.suspect {
		p.waited(c.asked + longWait)
	}
}

// waited notes that the path's socket was full since then. Nothing else has happened to it since.
func (p *Path) waited(since float64) {
	if last := p.holds[len(p.holds)-1]; last.hold == Sending {
		p.holds = append(p.holds, change{max(since, last.at), Socket})
	}
}

// settle notes what holds the path as a whole: nothing, if one of its connections is given what there is; else what holds the newest.
func (p *Path) settle(at float64) {
	now, newest := Down, subID{number: -1}
	for id, c := range p.subs {
		h := c.hold
		if c.suspect {
			h = Suspect
		}
		if h == Sending {
			now = Sending
			break
		}
		if id.number > newest.number || id.number == newest.number && id.session > newest.session {
			now, newest = h, id
		}
	}
	if p.holds[len(p.holds)-1].hold != now {
		p.holds = append(p.holds, change{at, now})
	}
}

// Rename gives paths the names that other calls them by: an egress knows them by number only.
func (s *Side) Rename(other *Side) {
	for _, p := range s.Paths {
		for _, q := range other.Paths {
			if q.ID == p.ID {
				p.Name = q.Name
			}
		}
	}
}

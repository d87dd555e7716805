package proto

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/trace"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// witness listens to one side's trace and keeps of each subflow what it was given, or not, and why; the same again is not written down.
type witness struct {
	kinds  map[int][]string
	events []trace.Event
}

func (w *witness) listen(e trace.Event) {
	w.events = append(w.events, e)
	kind := ""
	switch e.Name {
	case "data:mapping_sent", "data:reinjected":
		kind = attr(e, "reason").Str
	case "sched:held":
		kind = "held " + attr(e, "reason").Str
	case "subflow:started", "subflow:closed", "subflow:state_updated":
		kind = strings.TrimSpace(strings.TrimPrefix(e.Name, "subflow:") + " " + attr(e, "to").Str)
	}
	if all := w.kinds[e.Subflow]; kind != "" && (len(all) == 0 || all[len(all)-1] != kind) {
		w.kinds[e.Subflow] = append(all, kind)
	}
}

// forget begins anew.
func (w *witness) forget() { w.kinds, w.events = make(map[int][]string), nil }

// without are the kinds of a subflow but for some that come and go, the same in a row once.
func (w *witness) without(subflow int, less ...string) []string {
	all := slices.DeleteFunc(slices.Clone(w.kinds[subflow]), func(k string) bool { return slices.Contains(less, k) })
	return slices.Compact(all)
}

func attr(e trace.Event, key string) trace.Attr {
	for _, a := range e.Attrs {
		if a.Key == key {
			return a
		}
	}
	return trace.Attr{}
}

// watch listens to a side of a duo.
func (d *duo) watch(side int) *witness {
	w := &witness{}
	w.forget()
	d.sides[side].cfg.Trace = w.listen
	return w
}

// TestDecisionsOnAKnownPair: a megabyte from cold over a near and a far line, as the sender sees it.
func TestDecisionsOnAKnownPair(t *testing.T) {
	sim := newLab([]line{{20, 30 * ms}, {10, 80 * ms}}, nil)
	w := &witness{}
	w.forget()
	sim.peers[1].s.cfg.Trace = w.listen
	const size = 1 << 20
	sim.stream(0, simSide{}, simSide{write: size})
	sim.play(t, 4*time.Second)

	near, far := w.without(1, "held window"), w.without(2, "held window", "held trial")
	// The near path begins alone and carries the young stream, then the stream in its turn until nothing waits.
	if want := []string{"started", "held idle", whyYoung, whyNew}; len(near) < 5 || !slices.Equal(near[:4], want) || near[len(near)-1] != "held idle" {
		t.Errorf("near path: %q, want %q first and to be idle in the end", near, want)
	}
	// The far one is measured by copies, joins in with what the near one will have come to, and leaves the end to it.
	if want := []string{"started", whyTrial}; len(far) < 5 || !slices.Equal(far[:2], want) || !slices.Contains(far, whyAhead) || !slices.Contains(far, "held later") || far[len(far)-1] != "held idle" {
		t.Errorf("far path: %q, want %q first, to be held for being later, and to be idle in the end", far, want)
	}
	w.checkAccounts(t, size)
}

// checkAccounts holds that events agree with each other: what is new is sent once and all of it, holds begin and end in turn, and what is in flight is
// what was sent and not reported.
func (w *witness) checkAccounts(t *testing.T, size int64) {
	t.Helper()
	sent := make(map[int64]int64) // offset, length
	held, since, flying := make(map[int]string), make(map[int]Instant), make(map[int]int64)
	last := Instant(0)
	for _, e := range w.events {
		if e.Time < last {
			t.Errorf("%s at %v after an event at %v", e.Name, e.Time, last)
		}
		last = e.Time
		reason := attr(e, "reason").Str
		switch e.Name {
		case "data:mapping_sent":
			if n := attr(e, "len").Num; n > 0 {
				sent[attr(e, "offset").Num] += n
			}
			flying[e.Subflow] += attr(e, "len").Num + attr(e, "fin").Num
		case "data:reinjected":
			flying[e.Subflow] += attr(e, "len").Num + attr(e, "fin").Num
		case "data:reported":
			flying[e.Subflow] -= attr(e, "len").Num
		case "sched:held":
			if held[e.Subflow] != "" {
				t.Errorf("at %v: subflow %d held for %s while held for %s", e.Time, e.Subflow, reason, held[e.Subflow])
			}
			held[e.Subflow], since[e.Subflow] = reason, e.Time
			continue // not about octets
		case "sched:released":
			if us := attr(e, "held_us").Num; reason != "socket" && (held[e.Subflow] != reason || us != (e.Time-since[e.Subflow]).Microseconds()) {
				t.Errorf("at %v: subflow %d released from %s after %d µs, was held for %q since %v", e.Time, e.Subflow, reason, us, held[e.Subflow], since[e.Subflow])
			}
			held[e.Subflow] = ""
			continue
		default:
			continue
		}
		if got := attr(e, "in_flight").Num; got != flying[e.Subflow] {
			t.Errorf("at %v: %s on subflow %d says %d in flight, want %d", e.Time, e.Name, e.Subflow, got, flying[e.Subflow])
		}
	}
	next := int64(0)
	for _, at := range slices.Sorted(maps.Keys(sent)) {
		if at != next {
			t.Errorf("new octets from %d, want them from %d", at, next)
		}
		next = at + sent[at]
	}
	if next != size {
		t.Errorf("%d octets sent, want %d", next, size)
	}
}

// TestWhyHeld asks for each reason that a subflow can be held for.
func TestWhyHeld(t *testing.T) {
	for _, tc := range []struct {
		want string
		ask  func(d *duo, st *Stream) (path int)
	}{
		{"idle", func(d *duo, _ *Stream) int { d.known(2e6, 0, 1); return 0 }},
		{"window", func(d *duo, st *Stream) int { d.known(2e6, 0, 1); put(st, 200_000); return 0 }},
		{"trial", func(d *duo, st *Stream) int { d.known(2e6, 0); put(st, 40_000); d.poll(client, 0); return 1 }},
		{"later", func(d *duo, st *Stream) int {
			d.known(2e6, 0)
			d.known(50_000, 1)
			putOld(st, 10_000)
			return 1
		}},
		{"role", func(d *duo, st *Stream) int {
			d.known(2e6, 0, 1)
			d.sides[client].SetRole(d.paths[1][client], sched.Backup)
			put(st, 10_000)
			return 1
		}},
		{"suspect", func(d *duo, st *Stream) int {
			d.known(2e6, 0, 1)
			d.sides[client].doubt(d.now, d.paths[1][client])
			put(st, 10_000)
			return 1
		}},
		{"credit", func(d *duo, st *Stream) int {
			d.known(2e6, 0, 1)
			st.out.limit = st.out.nxt
			put(st, 10_000)
			return 0
		}},
	} {
		t.Run(tc.want, func(t *testing.T) {
			d := twoPaths(t)
			near, _ := d.open(client, 100)
			d.rest()
			w := d.watch(client)
			path := tc.ask(d, near)
			d.poll(client, path)
			d.poll(client, path) // to ask again is no news
			want := "held " + tc.want
			got := w.kinds[path+1]
			if len(got) == 0 || got[len(got)-1] != want {
				t.Fatalf("path %d: %q, want %q last", path, got, want)
			}
			n := 0
			for _, e := range w.events {
				if e.Subflow == path+1 && e.Name == "sched:held" {
					n++
				}
			}
			if n != 1 {
				t.Errorf("held %d times, want once", n)
			}
			d.now += 70 * ms
			d.sides[client].RemoveSubflow(d.now, d.paths[path][client])
			e := w.events[slices.IndexFunc(w.events, func(e trace.Event) bool { return e.Name == "sched:released" })]
			if attr(e, "reason").Str != tc.want || attr(e, "held_us").Num != 70_000 {
				t.Errorf("in the end %s, want released from %s after 70 ms", e.AppendJSON(nil), tc.want)
			}
		})
	}
}

// TestWhySent asks for the reasons of copies.
func TestWhySent(t *testing.T) {
	for _, tc := range []struct {
		want string
		do   func(d *duo, st *Stream)
	}{
		{whyLost, func(d *duo, st *Stream) {
			put(st, 3000)
			d.poll(client, 0)
			d.sides[client].RemoveSubflow(d.now, d.paths[0][client])
		}},
		{whyLate, func(d *duo, st *Stream) {
			put(st, 500)
			d.poll(client, 0)
			other, _ := d.sides[client].OpenStream(d.now)
			putOld(other, 100_000)
			d.now += 130 * ms
		}},
		{whyStuck, func(d *duo, st *Stream) {
			putOld(st, 1000)
			d.poll(client, 0)
			putOld(st, 100_000)
			d.now += 400 * ms
		}},
		{whyTail, func(d *duo, st *Stream) {
			putOld(st, 1000)
			d.poll(client, 0)
			d.now += 130 * ms
		}},
	} {
		t.Run(tc.want, func(t *testing.T) {
			d := twoPaths(t)
			near, _ := d.open(client, 100)
			d.rest()
			d.known(2e6, 0, 1)
			for path := range d.paths { // so patient that suspicion does not come first
				d.paths[path][client].rttvar = time.Second
			}
			tc.do(d, near)
			w := d.watch(client)
			d.poll(client, 1)
			if got := w.kinds[2]; len(got) == 0 || got[0] != tc.want {
				t.Errorf("the other path: %q, want %s first", got, tc.want)
			}
		})
	}
}

// TestTraceOfAPathThatDies: what a person looks for after a failure.
func TestTraceOfAPathThatDies(t *testing.T) {
	d := twoPaths(t)
	near, _ := d.open(client, 100)
	d.rest()
	d.known(2e6, 0, 1)
	w := d.watch(client)
	put(near, 20_000)
	d.poll(client, 0)
	d.wires[0][client] = nil
	d.wait(300 * ms)
	d.poll(client, 1)
	d.poll(client, 0)
	d.sides[client].RemoveSubflow(d.now, d.paths[0][client])
	if got, want := w.without(1, "held window"), []string{whyYoung, "state_updated suspect", "held suspect", "closed"}; !slices.Equal(got, want) {
		t.Errorf("the path that dies: %q, want %q", got, want)
	}
	if got := w.without(2); len(got) == 0 || got[0] != whyLost {
		t.Errorf("the other path: %q, want %s first", got, whyLost)
	}
}

// TestEstimatesAreTold: phases at once, figures when they have changed by much, and not more often than every 10 ms.
func TestEstimatesAreTold(t *testing.T) {
	sim := newLab([]line{{20, 30 * ms}}, nil)
	w := &witness{}
	w.forget()
	sim.peers[1].s.cfg.Trace = w.listen
	sim.stream(0, simSide{}, simSide{write: bulk})
	sim.play(t, 5*time.Second)
	var phases []string
	last, n := Instant(0), 0
	for _, e := range w.events {
		if e.Name != "subflow:estimated" {
			continue
		}
		phase := attr(e, "phase").Str
		if len(phases) == 0 || phases[len(phases)-1] != phase {
			phases = append(phases, phase)
		} else if e.Time-last < tellEvery {
			t.Errorf("told at %v and at %v", last, e.Time)
		}
		last = e.Time
		n++
	}
	if want := []string{"start", "ramp", "settle", "steady"}; len(phases) < 4 || !slices.Equal(phases[:4], want) {
		t.Errorf("phases %q, want %q", phases, want)
	}
	if n > 200 {
		t.Errorf("told %d times in 4 s of one transfer", n)
	}
}

// TestTraceThatIsTurnedOn in the middle knows nothing of before, and one that nobody listens to costs nothing.
func TestTraceThatIsTurnedOn(t *testing.T) {
	d := onePath(t)
	near, _ := d.open(client, 100)
	d.rest()
	w := d.watch(client)
	on := false
	d.sides[client].cfg.TraceOn = func() bool { return on }
	put(near, 10_000)
	d.poll(client, 0)
	if len(w.events) > 0 {
		t.Fatalf("%s though nobody listens", w.events[0].AppendJSON(nil))
	}
	d.now += time.Second
	d.settle()
	on = true
	d.poll(client, 0)
	put(near, 100)
	d.poll(client, 0)
	if got, want := w.without(1), []string{"held idle", whyYoung, "held idle"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, e := range w.events {
		if us := attr(e, "held_us").Num; us > 1000 {
			t.Errorf("%s: of the time before", e.AppendJSON(nil))
		}
	}
}

// hooks runs every hook that is on the way of a record, as PollSend and its like do.
func hooks(s *Session, now Instant, sf *Subflow, st *Stream) {
	l := load{st: st, dsn: st.out.nxt, n: 1400, why: whyNew}
	if s.tracing() {
		s.traceAsked(now, sf, l)
	}
	if s.tracing() {
		s.traceBound(now, sf, l)
	}
	if s.tracing() {
		s.traceAsked(now, sf, load{})
	}
	if s.tracing() {
		s.traceReported(now, sf, 1400, 30*ms)
	}
}

func TestTraceThatIsOffDoesNotAllocate(t *testing.T) {
	d := onePath(t)
	near, _ := d.open(client, 100)
	s, sf := d.sides[client], d.paths[0][client]
	for name, set := range map[string]func(){
		"none":      func() { s.cfg.Trace = nil },
		"turnedOff": func() { s.cfg.Trace, s.cfg.TraceOn = func(trace.Event) {}, func() bool { return false } },
	} {
		set()
		if n := testing.AllocsPerRun(100, func() {
			hooks(s, d.now, sf, near)
			s.trace(d.now, "stream:opened", trace.Num("stream", near.id))
			s.traceOn(d.now, sf, "subflow:state_updated", trace.Str("to", Up.String()))
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// BenchmarkTrace is what the trace costs a record: with nobody who could listen, with nobody who does, and with somebody who throws events away.
func BenchmarkTrace(b *testing.B) {
	for _, tc := range []struct {
		name string
		cfg  Config
	}{
		{"none", Config{}},
		{"off", Config{Trace: func(trace.Event) {}, TraceOn: func() bool { return false }}},
		{"on", Config{Trace: func(trace.Event) {}}},
	} {
		b.Run(tc.name, func(b *testing.B) {
			p := newBenchPair(b, 2)
			s := p.sides[client]
			st, err := s.OpenStream(p.now)
			if err != nil {
				b.Fatal(err)
			}
			s.cfg.Trace, s.cfg.TraceOn = tc.cfg.Trace, tc.cfg.TraceOn
			b.ReportAllocs()
			for b.Loop() {
				hooks(s, p.now, p.paths[0][client], st)
			}
		})
	}
}

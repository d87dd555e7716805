package report

import (
	"fmt"
	"strings"

	"github.com/mpsocks/mpsocks/bench"
)

// oursName is the transport that sentences are about.
const oursName = "mptcp"

// baselines are what ours is compared with first, the plainest one before the
// others.
var baselines = []string{"tcp", "quic", "kernel", "quic-multi"}

// sentence is one thing to know. The head is what a hasty reader reads.
type sentence struct {
	Verdict verdict
	Head    string
	Rest    string
	Others  string // how the others did
}

// Symbol and Word say the verdict to eyes and to ears.
func (s sentence) Symbol() string { return []string{"•", "▲", "=", "▼", "✕"}[s.Verdict] }

func (s sentence) Word() string {
	return []string{"", "better than all others", "no difference seen", "worse than another", "failed"}[s.Verdict]
}
func (s sentence) Class() string { return fmt.Sprintf("v%d", s.Verdict) }

// teller tells what was found in one scenario.
type teller struct {
	d    *data
	sc   scene
	base string // what ours is compared with first; empty if there is nothing
}

// tell are the sentences about a scenario.
func (d *data) tell(sc scene) []sentence {
	t := teller{d: d, sc: sc}
	if !d.has(oursName) {
		return nil
	}
	for _, b := range baselines {
		if d.has(b) {
			t.base = b
			break
		}
	}
	if t.base == "" {
		for _, w := range d.ways {
			if w.Name != oursName {
				t.base = w.Name
				break
			}
		}
	}
	var all []sentence
	add := func(s sentence, ok bool) {
		if ok {
			all = append(all, s)
		}
	}
	add(t.bulk("download", "A download", sc.Down))
	add(t.bulk("upload", "An upload", sc.Up))
	add(t.delay("ttfb", "p50", "A click", "a new connection's first byte comes after"))
	add(t.besideBulk())
	add(t.delay("page", "load", "A web page", "everything is there after"))
	add(t.failover())
	add(t.comeback())
	add(t.cost())
	return append(all, t.failures()...)
}

func (d *data) has(name string) bool {
	for _, w := range d.ways {
		if w.Name == name {
			return true
		}
	}
	return false
}

// alone is what must be said about the baseline: tcp gets the best line.
func (t teller) alone() string {
	if t.base == "tcp" {
		return "over the best line alone"
	}
	return "over the same lines"
}

// rival is the figure of another transport.
type rival struct {
	name string
	sum  bench.Summary
}

func (t teller) rivals(workload, metric string) []rival {
	var all []rival
	for _, w := range t.d.ways {
		if s, ok := t.d.find(t.sc.Name, w.Name, workload, metric); ok && w.Name != oursName {
			all = append(all, rival{w.Name, s})
		}
	}
	return all
}

// against is the verdict on ours beside all others: better than every one of
// them, worse than any, or neither.
func (t teller) against(ours bench.Summary, others []rival, how string) verdict {
	out := unclear
	for i, r := range others {
		switch v := judge(ours, r.sum, how); {
		case v == worse:
			return worse
		case i == 0:
			out = v
		case v == same || v == unclear && out == better:
			out = v
		}
	}
	return out
}

// beside tells how the others did that the head does not speak of, those that
// are better first.
func beside(ours bench.Summary, others []rival, how, but string) string {
	ranks := []struct {
		what string
		of   verdict
		who  []string
	}{{"Ahead", worse, nil}, {"Level", same, nil}, {"Behind", better, nil}, {"Not comparable", unclear, nil}}
	for _, r := range others {
		for i := range ranks {
			if r.name != but && judge(ours, r.sum, how) == ranks[i].of {
				ranks[i].who = append(ranks[i].who, r.name+" "+saying(r.sum))
			}
		}
	}
	var all []string
	for _, k := range ranks {
		if len(k.who) > 0 {
			all = append(all, k.what+": "+list(k.who)+".")
		}
	}
	return strings.Join(all, " ")
}

func named(others []rival, name string) (bench.Summary, bool) {
	for _, r := range others {
		if r.name == name {
			return r.sum, true
		}
	}
	return bench.Summary{}, false
}

// bulk is the sentence about a long transfer.
func (t teller) bulk(workload, what string, c bench.Ceiling) (sentence, bool) {
	ours, ok := t.d.find(t.sc.Name, oursName, workload, "goodput")
	if !ok {
		return sentence{}, false
	}
	others := t.rivals(workload, "goodput")
	s := sentence{Verdict: t.against(ours, others, bench.Higher)}
	share := ""
	if c.Sum > c.Best && c.Best > 0 {
		share = fmt.Sprintf(", %.0f %% of what the lines carry together", 100*ours.Median/c.Sum)
		if ours.Median > 1.03*c.Sum {
			// More than can be: what had been held back before the measured part came in it.
			share += ", which it cannot do for long"
		}
	}
	base, ok := named(others, t.base)
	switch {
	case !ok && c.Best > 0:
		s.Head = fmt.Sprintf("%s gets %s of what the best line alone %s:", what, times(ours.Median/c.Best), carries(c))
		s.Rest = fmt.Sprintf("%s against %s%s.", saying(ours), amount(c.Best, "Mbit/s"), share)
	case !ok:
		s.Head = fmt.Sprintf("%s gets %s", what, saying(ours))
		s.Rest = "with " + oursName + "."
	default:
		s.Head = t.speed(what, ours, base)
		s.Rest = fmt.Sprintf("%s%s: %s against %s%s.", t.alone(), noise(ours, base), saying(ours), saying(base), share)
	}
	s.Others = beside(ours, others, bench.Higher, t.base)
	return s, true
}

func carries(c bench.Ceiling) string {
	if c.Measured {
		return "was measured to carry"
	}
	return "is set to carry"
}

// noise says so where two figures do not differ.
func noise(ours, base bench.Summary) string {
	if judge(ours, base, bench.Lower) == same {
		return " (no difference seen)"
	}
	return ""
}

// speed compares two rates.
func (t teller) speed(what string, ours, base bench.Summary) string {
	switch judge(ours, base, bench.Higher) {
	case better:
		if base.Median <= 0 {
			return fmt.Sprintf("%s moves; with %s it stands still", what, t.base)
		}
		return fmt.Sprintf("%s is %s as fast as with %s", what, times(ours.Median/base.Median), t.base)
	case worse:
		return fmt.Sprintf("%s is slower, %s as fast as with %s", what, times(ours.Median/base.Median), t.base)
	case same:
		return fmt.Sprintf("%s is as fast as with %s", what, t.base)
	}
	return fmt.Sprintf("%s is not comparable with one with %s", what, t.base)
}

// delay is the sentence about something that people wait for.
func (t teller) delay(workload, metric, what, how string) (sentence, bool) {
	ours, ok := t.d.find(t.sc.Name, oursName, workload, metric)
	if !ok {
		return sentence{}, false
	}
	others := t.rivals(workload, metric)
	s := sentence{Verdict: t.against(ours, others, bench.Lower)}
	base, ok := named(others, t.base)
	if !ok {
		s.Head = fmt.Sprintf("%s waits %s:", what, saying(ours))
		s.Rest = how + " that."
	} else {
		s.Head = what + " " + t.waits(ours, base)
		s.Rest = fmt.Sprintf("%s%s: %s %s, there %s.", t.alone(), noise(ours, base), how, saying(ours), saying(base))
	}
	s.Others = beside(ours, others, bench.Lower, t.base)
	return s, true
}

// waits compares two times.
func (t teller) waits(ours, base bench.Summary) string {
	diff := amount(max(ours.Median, base.Median)-min(ours.Median, base.Median), ours.Unit)
	if ours.Censored || base.Censored {
		diff = "at least " + diff
	}
	switch judge(ours, base, bench.Lower) {
	case better:
		return fmt.Sprintf("waits %s less than with %s", diff, t.base)
	case worse:
		return fmt.Sprintf("waits %s longer than with %s", diff, t.base)
	case same:
		return "waits as long as with " + t.base
	}
	return "is not comparable with one with " + t.base
}

// besideBulk is the sentence about requests while a download runs.
func (t teller) besideBulk() (sentence, bool) {
	ours, ok := t.d.find(t.sc.Name, oursName, "rr-down", "p50")
	if !ok {
		return sentence{}, false
	}
	others := t.rivals("rr-down", "p50")
	s := sentence{Verdict: t.against(ours, others, bench.Lower)}
	s.Head = "Beside a download a request takes " + saying(ours)
	s.Rest = "in the median"
	if tail, ok := t.d.find(t.sc.Name, oursName, "rr-down", "p99"); ok {
		s.Rest += ", " + saying(tail) + " at the 99th percentile"
	}
	if idle, ok := t.d.find(t.sc.Name, oursName, "rr", "p50"); ok {
		s.Rest += "; with nothing else on the lines it takes " + saying(idle)
	}
	s.Rest += "."
	s.Others = beside(ours, others, bench.Lower, "")
	return s, true
}

// cutLine is the name of the line that dies.
func (t teller) cutLine() string {
	if c := t.sc.Cut; c >= 0 && c < len(t.sc.Lines) {
		return "the line " + t.sc.Lines[c].Name
	}
	return "a line"
}

// failover is the sentence about a line that dies.
func (t teller) failover() (sentence, bool) {
	ours, ok := t.d.find(t.sc.Name, oursName, "failover", "bulk_stall")
	if !ok {
		return sentence{}, false
	}
	others := t.rivals("failover", "bulk_stall")
	s := sentence{Verdict: t.against(ours, others, bench.Lower)}
	s.Head = fmt.Sprintf("When %s dies, a transfer stands still for %s", t.cutLine(), saying(ours))
	var rest []string
	if echo, ok := t.d.find(t.sc.Name, oursName, "failover", "echo_stall"); ok {
		rest = append(rest, "a conversation for "+saying(echo))
	}
	switch broken, ok := t.d.find(t.sc.Name, oursName, "failover", "broken"); {
	case ok && broken.High == 0:
		rest = append(rest, "no connection breaks")
	case ok:
		rest = append(rest, "connections break: "+tick(broken.Median)+", at most "+tick(broken.High))
	}
	if s.Rest = "."; len(rest) > 0 {
		s.Rest = "and " + strings.Join(rest, "; ") + "."
	}
	s.Others = beside(ours, others, bench.Lower, "")
	return s, true
}

// comeback is the sentence about the line's return.
func (t teller) comeback() (sentence, bool) {
	ours, ok := t.d.find(t.sc.Name, oursName, "failover", "recover")
	if !ok {
		return sentence{}, false
	}
	others := t.rivals("failover", "recover")
	s := sentence{Verdict: t.against(ours, others, bench.Lower)}
	s.Head = fmt.Sprintf("When it is back, the old speed is there after %s", saying(ours))
	if ours.Median == 0 && ours.High == 0 {
		s.Head = "When it is back, the old speed is there at once"
	}
	s.Rest = "(80 % of what flowed before)."
	s.Others = beside(ours, others, bench.Lower, "")
	return s, true
}

// cost is the sentence about processor time, which is what it all costs.
func (t teller) cost() (sentence, bool) {
	ours, ok := t.d.find(t.sc.Name, oursName, "download", "client_cpu")
	base, ok2 := t.d.find(t.sc.Name, t.base, "download", "client_cpu")
	if !ok || !ok2 || base.Median <= 0 {
		return sentence{}, false
	}
	others := t.rivals("download", "client_cpu")
	s := sentence{Verdict: t.against(ours, others, bench.Lower)}
	s.Head = fmt.Sprintf("A download takes %s the processor time of %s", times(ours.Median/base.Median), t.base)
	if judge(ours, base, bench.Lower) == same {
		s.Head = "A download takes as much processor time as " + t.base
	}
	s.Rest = fmt.Sprintf("at the client%s: %s against %s.", noise(ours, base), saying(ours), saying(base))
	s.Others = beside(ours, others, bench.Lower, t.base)
	return s, true
}

// failures are the runs of ours that yielded nothing.
func (t teller) failures() []sentence {
	var all []sentence
	for _, w := range t.d.Works {
		run := t.d.failed[key{scenario: t.sc.Name, transport: oursName, workload: w.Name}]
		if run == nil {
			continue
		}
		s := sentence{
			Verdict: broken, Head: fmt.Sprintf("%s with %s failed", w.Name, oursName), Rest: fmt.Sprintf("in repetition %d: %s", run.Rep, run.Error),
		}
		if len(t.d.counted(t.sc.Name, oursName, w.Name)) > 0 {
			s.Rest += " (other repetitions did not)"
		}
		all = append(all, s)
	}
	return all
}

// overDesigns is the sentence about all points of the random design together.
func (d *data) overDesigns() (sentence, bool) {
	rows := d.benefitsOf("download", func(sc scene) bool { return sc.design })
	for _, b := range rows {
		if b.way.Name != oursName {
			continue
		}
		s := sentence{Head: fmt.Sprintf("Over %s of lines a download has a median aggregation benefit of %s", count(len(b.dots), "random pair"), fixed2(b.quantile(0.5)))}
		s.Rest = fmt.Sprintf("(from %s to %s; 0 is the best line alone, 1 the sum)", fixed2(b.dots[0].value), fixed2(b.dots[len(b.dots)-1].value))
		if n := b.losses(); n > 0 {
			s.Rest += fmt.Sprintf("; on %d of them it was slower than the best line alone", n)
		} else {
			s.Rest += "; on none was it slower than the best line alone"
		}
		s.Rest += "."
		var words []string
		for _, o := range rows {
			if o.way.Name != oursName {
				words = append(words, fmt.Sprintf("%s %s, below 0 on %d of %d", o.way.Name, fixed2(o.quantile(0.5)), o.losses(), len(o.dots)))
			}
		}
		if len(words) > 0 {
			s.Others = "Others: " + strings.Join(words, "; ") + "."
		}
		return s, true
	}
	return sentence{}, false
}

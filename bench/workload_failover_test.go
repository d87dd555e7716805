package bench

import (
	"slices"
	"testing"
	"time"
)

// flow fills a meter with a rate from a time to another.
func flow(m *meter, mbit, from, to float64) {
	for at := seconds(from); at < seconds(to); at += meterStep {
		m.add(at, int64(mbit*1e6/8*meterStep.Seconds()))
	}
}

func TestFailoverReport(t *testing.T) {
	f := &failoverRun{
		s:  &Setting{Scale: Scale{Time: 1}, Down: Ceiling{Sum: 40, Best: 20}, CutRest: 20},
		at: failoverTimes{seconds(4), seconds(9), seconds(15)},
	}
	flow(&f.bulk, 38, 0, 4)
	flow(&f.bulk, 19, 4.2, 10)
	flow(&f.bulk, 38, 10, 15)
	for at := 0.0; at < 15; at += 0.05 {
		if at < 4 || at > 4.3 {
			f.echo.add(seconds(at), echoSize)
		}
	}
	f.sent, f.rtts = []time.Duration{0, seconds(0.05)}, []float64{30, -1}
	r := newRecord()
	f.report(r)
	for metric, want := range map[string]float64{
		"before": 38, "during": 19, "after": 38, "bulk_stall": 210, "bulk_stall_heal": 10, "echo_stall": 350, "echo_stall_heal": 50,
		"back_cut": 160, "back_heal": 905, "recover": 880, "broken": 0,
	} {
		got := r.Metrics[metric]
		if d := got - want; d < -0.05*want-15 || d > 0.05*want+15 {
			t.Errorf("%s = %v, want about %v", metric, got, want)
		}
	}
	if len(r.Censored) > 0 {
		t.Errorf("censored: %v", r.Censored)
	}
}

// What does not come back is a lower bound.
func TestFailoverReportWithoutReturn(t *testing.T) {
	f := &failoverRun{
		s:  &Setting{Scale: Scale{Time: 1}, Down: Ceiling{Sum: 40, Best: 20}, CutRest: 20},
		at: failoverTimes{seconds(4), seconds(9), seconds(15)},
	}
	flow(&f.bulk, 19, 0, 4)
	r := newRecord()
	f.report(r)
	if want := []string{"back_cut", "back_heal", "recover"}; !slices.Equal(r.Censored, want) {
		t.Errorf("censored: %v, want %v", r.Censored, want)
	}
	if r.Metrics["back_cut"] != 5000 || r.Metrics["back_heal"] != 6000 {
		t.Errorf("lower bounds: %v", r.Metrics)
	}
	if got := r.Metrics["bulk_stall"]; got < 10_990 || got > 11_010 {
		t.Errorf("bulk_stall = %v, want up to the end", got)
	}
}

func TestFailoverRun(t *testing.T) {
	l := newLine(t)
	r := runWorkload(t, "failover", setting(t, l))
	var marks []string
	for _, m := range r.Marks {
		marks = append(marks, m.What)
	}
	if !slices.Equal(marks, []string{"cut", "heal"}) {
		t.Errorf("marks = %v", marks)
	}
	var names []string
	for _, s := range r.Series {
		names = append(names, s.Name)
		if len(s.Values) == 0 || s.Step <= 0 {
			t.Errorf("series %s has no values or no step", s.Name)
		}
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"echo", "goodput", "path:line"}) {
		t.Errorf("series = %v", names)
	}
}

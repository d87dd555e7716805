package report

import (
	"strings"
	"testing"

	"github.com/mpsocks/mpsocks/bench"
)

// sum is a figure with an interval of a few per cent, from five repetitions.
func sum(median float64, unit string) bench.Summary {
	return bench.Summary{Median: median, Low: 0.99 * median, High: 1.01 * median, N: 5, Unit: unit}
}

func TestJudge(t *testing.T) {
	few := func(s bench.Summary, n int) bench.Summary {
		s.N = n
		return s
	}
	bound := func(s bench.Summary) bench.Summary {
		s.Censored = true
		return s
	}
	for _, tc := range []struct {
		what        string
		ours, other bench.Summary
		how         string
		want        verdict
	}{
		{"more is better", sum(38, "Mbit/s"), sum(19, "Mbit/s"), bench.Higher, better},
		{"less is worse", sum(19, "Mbit/s"), sum(38, "Mbit/s"), bench.Higher, worse},
		{"shorter is better", sum(50, "ms"), sum(90, "ms"), bench.Lower, better},
		{"longer is worse", sum(90, "ms"), sum(50, "ms"), bench.Lower, worse},
		{"intervals overlap", sum(100, "ms"), sum(101, "ms"), bench.Lower, same},
		{"apart, but less than 2 %", bench.Summary{Median: 100, Low: 100, High: 100, N: 9}, bench.Summary{Median: 101, Low: 101, High: 101, N: 9}, bench.Lower, same},
		{"3 % with three repetitions", few(sum(100, "ms"), 3), few(sum(103, "ms"), 3), bench.Lower, same},
		{"20 % with three repetitions", few(sum(100, "ms"), 3), few(sum(120, "ms"), 3), bench.Lower, better},
		{"20 % with one", few(sum(100, "ms"), 1), sum(120, "ms"), bench.Lower, same},
		{"30 % with one", few(sum(100, "ms"), 1), sum(143, "ms"), bench.Lower, better},
		{"less than a millisecond", sum(0.2, "ms"), sum(0.9, "ms"), bench.Lower, same},
		{"the other never came to its end", sum(100, "ms"), bound(sum(5000, "ms")), bench.Lower, better},
		{"ours never did", bound(sum(5000, "ms")), sum(100, "ms"), bench.Lower, worse},
		{"ours never did, and the other took longer than was waited", bound(sum(100, "ms")), sum(5000, "ms"), bench.Lower, unclear},
		{"the other was not waited for long enough", sum(5000, "ms"), bound(sum(100, "ms")), bench.Lower, unclear},
		{"neither did", bound(sum(100, "ms")), bound(sum(5000, "ms")), bench.Lower, unclear},
		{"both nothing", bench.Summary{N: 5}, bench.Summary{N: 5}, bench.Lower, same},
	} {
		if got := judge(tc.ours, tc.other, tc.how); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.what, got, tc.want)
		}
	}
}

// figuresOf are results of one scenario: workload/metric, then a figure for
// each transport.
func figuresOf(figures map[string]map[string]bench.Summary) *data {
	r := &bench.Results{Scenes: []bench.Scene{{
		Name: "s", Cut: 0, Lines: []bench.Line{{Name: "wifi"}, {Name: "lte"}},
		Down: bench.Ceiling{Sum: 40, Best: 20}, Up: bench.Ceiling{Sum: 10, Best: 10},
	}}}
	seen := make(map[string]bool)
	for _, way := range append([]string{"odd"}, testWays...) {
		for what, of := range figures {
			s, ok := of[way]
			if !ok {
				continue
			}
			s.Scenario, s.Transport = "s", way
			s.Workload, s.Metric, _ = strings.Cut(what, "/")
			r.Summary = append(r.Summary, s)
			if !seen[way] {
				seen[way] = true
				r.Ways = append(r.Ways, bench.Way{Name: way})
			}
		}
	}
	return newData(tidy(r))
}

type byWay = map[string]bench.Summary

func TestSentences(t *testing.T) {
	disturbed := func(s bench.Summary) bench.Summary {
		s.Disturbed = true
		return s
	}
	bound := func(s bench.Summary) bench.Summary {
		s.Censored = true
		return s
	}
	for _, tc := range []struct {
		what    string
		figures map[string]byWay
		want    []string // symbol, head, rest, others
	}{
		{
			"faster than the best line",
			map[string]byWay{"download/goodput": {"mptcp": sum(38, "Mbit/s"), "tcp": sum(19, "Mbit/s"), "kernel": sum(30, "Mbit/s")}},
			[]string{"▲ A download is 2.00 × as fast as with tcp over the best line alone: 38.0 Mbit/s against 19.0 Mbit/s, 95 % of what the lines carry together. Behind: kernel 30.0 Mbit/s."},
		},
		{
			"faster than tcp, but another is faster still",
			map[string]byWay{"download/goodput": {"mptcp": sum(30, "Mbit/s"), "tcp": sum(20, "Mbit/s"), "kernel": sum(38, "Mbit/s")}},
			[]string{"▼ A download is 1.50 × as fast as with tcp over the best line alone: 30.0 Mbit/s against 20.0 Mbit/s, 75 % of what the lines carry together. Ahead: kernel 38.0 Mbit/s."},
		},
		{
			"one is behind, one level, one ahead",
			map[string]byWay{"download/goodput": {
				"mptcp": sum(30, "Mbit/s"), "kernel": sum(20, "Mbit/s"), "quic": sum(30.1, "Mbit/s"), "quic-multi": sum(38, "Mbit/s"), "tcp": sum(15, "Mbit/s"),
			}},
			[]string{"▼ A download is 2.00 × as fast as with tcp over the best line alone: 30.0 Mbit/s against 15.0 Mbit/s, 75 % of what the lines carry together. " +
				"Ahead: quic-multi 38.0 Mbit/s. Level: quic 30.1 Mbit/s. Behind: kernel 20.0 Mbit/s."},
		},
		{
			"first behind, then level",
			map[string]byWay{"upload/goodput": {"mptcp": sum(10, "Mbit/s"), "kernel": sum(5, "Mbit/s"), "tcp": sum(10, "Mbit/s")}},
			[]string{"= An upload is as fast as with tcp over the best line alone (no difference seen): 10.0 Mbit/s against 10.0 Mbit/s. Behind: kernel 5.00 Mbit/s."},
		},
		{
			"slower",
			map[string]byWay{"upload/goodput": {"mptcp": sum(8, "Mbit/s"), "tcp": sum(10, "Mbit/s")}},
			[]string{"▼ An upload is slower, 0.80 × as fast as with tcp over the best line alone: 8.00 Mbit/s against 10.0 Mbit/s."},
		},
		{
			"no difference",
			map[string]byWay{"upload/goodput": {"mptcp": sum(10, "Mbit/s"), "tcp": sum(10.1, "Mbit/s")}},
			[]string{"= An upload is as fast as with tcp over the best line alone (no difference seen): 10.0 Mbit/s against 10.1 Mbit/s."},
		},
		{
			"alone, beside what the lines carry",
			map[string]byWay{"download/goodput": {"mptcp": sum(38, "Mbit/s")}},
			[]string{"• A download gets 1.90 × of what the best line alone is set to carry: 38.0 Mbit/s against 20.0 Mbit/s, 95 % of what the lines carry together."},
		},
		{
			"more than the lines carry",
			map[string]byWay{"download/goodput": {"mptcp": sum(44, "Mbit/s"), "tcp": sum(20, "Mbit/s")}},
			[]string{"▲ A download is 2.20 × as fast as with tcp over the best line alone: 44.0 Mbit/s against 20.0 Mbit/s, 110 % of what the lines carry together, which it cannot do for long."},
		},
		{
			"a click that waits longer, disturbed",
			map[string]byWay{"ttfb/p50": {"mptcp": disturbed(sum(66, "ms")), "tcp": sum(60, "ms")}},
			[]string{"▼ A click waits 6.00 ms longer than with tcp over the best line alone: a new connection's first byte comes after ~66 ms, there 60 ms."},
		},
		{
			"against something else than tcp",
			map[string]byWay{"page/load": {"mptcp": sum(600, "ms"), "odd": sum(1600, "ms")}},
			[]string{"▲ A web page waits 1.00 s less than with odd over the same lines: everything is there after 600 ms, there 1.60 s."},
		},
		{
			"a line dies",
			map[string]byWay{
				"failover/bulk_stall": {"mptcp": sum(200, "ms"), "kernel": sum(500, "ms"), "tcp": bound(sum(9000, "ms"))},
				"failover/echo_stall": {"mptcp": sum(150, "ms")}, "failover/broken": {"mptcp": {N: 5}},
			},
			[]string{"▲ When the line wifi dies, a transfer stands still for 200 ms and a conversation for 150 ms; no connection breaks. Behind: kernel 500 ms and tcp more than 9.00 s."},
		},
		{
			"connections break",
			map[string]byWay{
				"failover/bulk_stall": {"mptcp": bound(sum(9000, "ms")), "kernel": sum(500, "ms")}, "failover/broken": {"mptcp": {N: 5, Median: 1, Low: 1, High: 3}},
			},
			[]string{"▼ When the line wifi dies, a transfer stands still for more than 9.00 s and connections break: 1, at most 3. Ahead: kernel 500 ms."},
		},
		{
			"beside a download",
			map[string]byWay{
				"rr-down/p50": {"mptcp": sum(45, "ms"), "tcp": sum(45.1, "ms")}, "rr-down/p99": {"mptcp": sum(80, "ms")}, "rr/p50": {"mptcp": sum(32, "ms")},
			},
			[]string{"= Beside a download a request takes 45 ms in the median, 80 ms at the 99th percentile; with nothing else on the lines it takes 32 ms. Level: tcp 45 ms."},
		},
		{
			"processor time",
			map[string]byWay{"download/client_cpu": {"mptcp": sum(10, "s/GB"), "tcp": sum(5, "s/GB")}},
			[]string{"▼ A download takes 2.00 × the processor time of tcp at the client: 10.0 s/GB against 5.00 s/GB."},
		},
		{"ours did not take part", map[string]byWay{"download/goodput": {"kernel": sum(38, "Mbit/s"), "tcp": sum(19, "Mbit/s")}}, nil},
		{"no figures", map[string]byWay{"download/other": {"mptcp": sum(38, "Mbit/s")}}, nil},
	} {
		d := figuresOf(tc.figures)
		var got []string
		for _, s := range d.tell(d.scenes[0]) {
			text := s.Symbol() + " " + s.Head + " " + s.Rest + " " + s.Others
			got = append(got, strings.TrimSpace(strings.ReplaceAll(text, nbsp, " ")))
		}
		if strings.Join(got, "\n") != strings.Join(tc.want, "\n") {
			t.Errorf("%s:\n got %q\nwant %q", tc.what, got, tc.want)
		}
	}
}

// What failed is told, with its error.
func TestFailureSentence(t *testing.T) {
	d := newData(tidy(&bench.Results{
		Scenes: []bench.Scene{{Name: "s"}}, Ways: []bench.Way{{Name: "mptcp"}}, Works: []bench.Work{{Name: "upload"}},
		Runs: []bench.Run{{Scenario: "s", Transport: "mptcp", Workload: "upload", Rep: 2, Error: "byte 7 is wrong"}},
	}))
	got := d.tell(d.scenes[0])
	if len(got) != 1 || got[0].Verdict != broken || got[0].Word() != "failed" || !strings.Contains(got[0].Rest, "repetition 2: byte 7 is wrong") {
		t.Errorf("sentences = %+v", got)
	}
}

// The design is told as a whole, with its losses.
func TestDesignSentence(t *testing.T) {
	r := full()
	for i := range r.Benefit {
		b := &r.Benefit[i]
		if b.Value = 0.8; b.Scenario == "random-003" && b.Transport == "mptcp" {
			b.Value = -0.25
		}
	}
	got, ok := newData(tidy(r)).overDesigns()
	if !ok || !strings.Contains(got.Head, "8 random pairs of lines a download has a median aggregation benefit of 0.80") ||
		!strings.Contains(got.Rest, "from -0.25 to 0.80") || !strings.Contains(got.Rest, "on 1 of them it was slower") ||
		!strings.Contains(got.Others, "kernel 0.80, below 0 on 0 of 8") {
		t.Errorf("sentence = %+v", got)
	}
	r.Benefit = nil
	if got, ok := newData(tidy(r)).overDesigns(); ok {
		t.Errorf("without benefits: %+v", got)
	}
}

// Without ours the page stands, and says so.
func TestWithoutOurs(t *testing.T) {
	r := full()
	r.Ways = r.Ways[1:]
	summarize(r)
	text := visible(render(t, r))
	if !strings.Contains(text, "no figures of mptcp") || strings.Contains(text, "Of 0 comparisons") || strings.Contains(text, "▲ A download") {
		t.Errorf("text begins: %.600s", text)
	}
}

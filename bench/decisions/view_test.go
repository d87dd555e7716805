package decisions

import (
	"math"
	"testing"
)

// checkView holds what is true of every view.
func checkView(t *testing.T, v View, n int) {
	t.Helper()
	for _, p := range v.Paths {
		for _, series := range [][]float64{p.InFlight, p.Limit, p.Rate, p.SRTT, p.MinRTT} {
			if len(series) != n {
				t.Fatalf("%d values, want %d", len(series), n)
			}
			for _, x := range series {
				if x < 0 || math.IsInf(x, 0) {
					t.Fatalf("a value of %v", x)
				}
			}
		}
		for i := range n {
			sum := 0.0
			for h := range p.Held {
				sum += p.Held[h][i]
			}
			if sum > 1+1e-6 || v.From >= 0 && sum < 1-1e-6 {
				t.Fatalf("path %s was something for %v of step %d", p.Name, sum, i)
			}
		}
		carried, why := 0.0, 0.0
		for k := range p.Carried {
			for _, x := range p.Carried[k] {
				carried += x * v.Step * 1e6 / 8
			}
		}
		for _, w := range p.Why {
			why += w.Octets
		}
		if math.Abs(carried-why) > 1e-6*max(why, 1) && len(p.Why) < maxReasons {
			t.Fatalf("%v octets over time, %v by reason", carried, why)
		}
		for i, s := range p.Phases {
			if s.From > s.To || i > 0 && s.From != p.Phases[i-1].To {
				t.Fatalf("phases %+v", p.Phases)
			}
		}
	}
}

func TestView(t *testing.T) {
	s := read(
		t,
		say(0, 0, 1, "subflow:started"),
		say(100, 0, 1, "subflow:estimated", `"phase":"ramp","rate":1000000,"srtt_us":30000,"min_rtt_us":20000,"limit":50000,"in_flight":10000`),
		say(1100, 0, 1, "data:mapping_sent", `"reason":"new","len":12500,"in_flight":22500,"limit":50000`),
		say(1200, 0, 1, "data:reinjected", `"reason":"late","len":2500,"in_flight":25000,"limit":50000`),
		say(1250, 0, 1, "data:reported", `"len":15000,"in_flight":10000`),
		say(1500, 0, 1, "subflow:estimated", `"phase":"steady","rate":2000000,"srtt_us":40000,"min_rtt_us":20000,"limit":60000,"in_flight":10000`),
		say(1600, 0, 1, "sched:held", held("window")),
		say(2500, 0, 1, "subflow:closed"),
	)
	v := s.View(1, 3, 4)
	checkView(t, v, 4)
	p := v.Paths[0]
	for _, tc := range []struct {
		what      string
		got, want []float64
	}{
		{"new", p.Carried[New], []float64{0.2, 0, 0, 0}}, // 12.5 kB in half a second
		{"copies", p.Carried[Copy], []float64{0.04, 0, 0, 0}},
		{"in flight", p.InFlight, []float64{25, 10, 1, math.NaN()}},
		{"limit", p.Limit, []float64{50, 2, 2, math.NaN()}},
		{"rate", p.Rate, []float64{8, 16, 16, math.NaN()}},
		{"round trip", p.SRTT, []float64{30, 40, 40, math.NaN()}},
		{"sending", p.Held[Sending], []float64{1, 0.2, 0, 0}},
		{"enough in flight", p.Held[Window], []float64{0, 0.8, 1, 0}},
		{"not connected", p.Held[Down], []float64{0, 0, 0, 1}},
	} {
		for i := range tc.want {
			if math.Abs(tc.got[i]-tc.want[i]) > 1e-9 || math.IsNaN(tc.got[i]) != math.IsNaN(tc.want[i]) {
				t.Errorf("%s: %v, want %v", tc.what, tc.got, tc.want)
				break
			}
		}
	}
	if len(p.Phases) != 2 || p.Phases[0] != (Span{0, 0.5, Ramp}) || p.Phases[1].Phase != Steady {
		t.Errorf("phases %+v", p.Phases)
	}
	if len(p.Marks) != 1 || p.Marks[0].What != "closed" || math.Abs(p.Marks[0].At-1.5) > 1e-9 {
		t.Errorf("marks %+v", p.Marks)
	}
	if h, share := p.Mostly(0.5, 1, v.Step); h != Window || math.Abs(share-0.8) > 1e-9 {
		t.Errorf("mostly %s, %v", h, share)
	}
	if at, ok := s.First(0.5, 3); !ok || math.Abs(at-1.1) > 1e-9 {
		t.Errorf("first at %v, %v", at, ok)
	}
	if _, ok := s.First(1.3, 3); ok {
		t.Error("something was sent after 1.3 s")
	}
	if got := s.Octets(1.15, 3); got != 2500 {
		t.Errorf("%v octets after 1.15 s", got)
	}
}

func TestViewOfNothing(t *testing.T) {
	s := read(t)
	checkView(t, s.View(0, 1, 5), 5)
	if v := s.View(1, 1, 5); v.Paths != nil {
		t.Errorf("a view of no time: %+v", v)
	}
}

package upstream

import (
	"fmt"
	"testing"
	"time"
)

func TestTally(t *testing.T) {
	var c tally
	start := time.Unix(1000, 0)
	steps := []struct {
		after  time.Duration
		raw    []PathStatus // Name, TxBytes, RxBytes
		totals string       // of sent and received, and the shares
	}{
		{0, []PathStatus{{Name: "a", TxBytes: 60, RxBytes: 0}, {Name: "b", RxBytes: 20}}, "a 60 0 0.75, b 0 20 0.25"},
		{2, []PathStatus{{Name: "a", TxBytes: 60, RxBytes: 0}, {Name: "b", RxBytes: 60}}, "a 60 0 0.5, b 0 60 0.5"},
		{4, []PathStatus{{Name: "b", RxBytes: 60}}, "b 0 60 1"},
		{6, []PathStatus{{Name: "a", TxBytes: 5, RxBytes: 7}, {Name: "b", RxBytes: 60}}, "a 65 7 0.545, b 0 60 0.455"}, // came back
		{8, []PathStatus{{Name: "a", TxBytes: 5, RxBytes: 7}, {Name: "b", RxBytes: 60}}, "a 65 7 0.545, b 0 60 0.455"},
		{10, []PathStatus{{Name: "a", TxBytes: 5, RxBytes: 7}, {Name: "b", RxBytes: 60}}, "a 65 7 0.545, b 0 60 0.455"},
		{12, []PathStatus{{Name: "a", TxBytes: 5, RxBytes: 7}, {Name: "b", RxBytes: 60}}, "a 65 7 1, b 0 60 0"}, // the beginning is over
		{16, []PathStatus{{Name: "a", TxBytes: 5, RxBytes: 7}, {Name: "b", RxBytes: 60}}, "a 65 7 0, b 0 60 0"},
		{90, []PathStatus{{Name: "a", TxBytes: 6, RxBytes: 7}, {Name: "b", RxBytes: 63}}, "a 66 7 0.25, b 0 63 0.75"},
	}
	for _, s := range steps {
		c.count(s.raw, start.Add(s.after*time.Second))
		got := ""
		for i, p := range s.raw {
			if i > 0 {
				got += ", "
			}
			got += fmt.Sprint(p.Name, " ", p.TxBytes, " ", p.RxBytes, " ", p.Share)
		}
		if got != s.totals {
			t.Errorf("after %ds: %s, want %s", s.after, got, s.totals)
		}
	}
}

func TestTallyIsBounded(t *testing.T) {
	var c tally
	start := time.Unix(1000, 0)
	for i := range maxTallied + 100 {
		c.count([]PathStatus{{Name: fmt.Sprint(i), TxBytes: 1}, {Name: "stays", TxBytes: uint64(i)}}, start.Add(time.Duration(i)*time.Second))
	}
	if n := len(c.paths); n > maxTallied {
		t.Errorf("%d names are kept, want at most %d", n, maxTallied)
	}
	if x := c.paths["stays"]; x == nil || x.sum[0] != maxTallied+99 || len(x.marks) > int(shareWindow/tallyEvery)+2 {
		t.Errorf("the path that is always there: %+v", x)
	}
}

// Rates are those of the last seconds, and unknown in the first moment; the time of a state is when it was first seen.
func TestTallyRates(t *testing.T) {
	var c tally
	start := time.Unix(1000, 0)
	for i, s := range []struct {
		after float64
		raw   PathStatus
		want  string // rates, and how old the state is
	}{
		{0, PathStatus{State: "up", TxBytes: 50}, "- - 0s"},
		{0.2, PathStatus{State: "up", TxBytes: 50}, "- - 0.2s"},
		{1, PathStatus{State: "up", TxBytes: 100, RxBytes: 1000}, "100 1000 1s"},
		{2, PathStatus{State: "up", TxBytes: 200, RxBytes: 2000}, "100 1000 2s"},
		{3, PathStatus{State: "up", TxBytes: 300, RxBytes: 5000}, "100 1667 3s"},
		{4, PathStatus{State: "suspect", TxBytes: 300, RxBytes: 5000}, "67 1333 0s"},
		{6, PathStatus{State: "suspect", TxBytes: 300, RxBytes: 5000}, "0 0 2s"},
		{7, PathStatus{State: "up", TxBytes: 300, RxBytes: 5300}, "0 100 0s"},
		{8, PathStatus{State: "up", TxBytes: 300, RxBytes: 5300}, "0 75 1s"},
	} {
		now := start.Add(time.Duration(s.after * float64(time.Second)))
		p := []PathStatus{s.raw}
		p[0].Name = "a"
		c.count(p, now)
		rate := func(r *float64) string {
			if r == nil {
				return "-"
			}
			return fmt.Sprint(*r)
		}
		age := fmt.Sprintf("%gs", now.Sub(p[0].Since).Seconds())
		if got := fmt.Sprint(rate(p[0].TxRate), " ", rate(p[0].RxRate), " ", age); got != s.want {
			t.Errorf("step %d, after %gs: %s, want %s", i, s.after, got, s.want)
		}
	}
}

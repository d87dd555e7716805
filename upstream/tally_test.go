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

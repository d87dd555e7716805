package main

import (
	"encoding/json"
	"testing"

	"github.com/mpsocks/mpsocks/internal/metrics"
	"github.com/mpsocks/mpsocks/upstream"
)

// TestCapIsShownAlike looks at what the table and a scrape make of a path's cap.
func TestCapIsShownAlike(t *testing.T) {
	p := upstream.PathStatus{Name: "phone", Cap: &upstream.PathCap{Limit: 30e9, Used: 12e9, Reset: "2026-12-05"}}
	if m := pathMetrics(p); m.Cap == nil || *m.Cap != (metrics.Cap{Limit: 30e9, Used: 12e9}) {
		t.Errorf("a scrape gets %+v", m.Cap)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var v pathView
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if got := v.Cap.String(); got != "40 % of 30 GB" {
		t.Errorf("the table says %q", got)
	}
	if m := pathMetrics(upstream.PathStatus{}); m.Cap != nil {
		t.Errorf("a scrape gets %+v of a path without a cap", m.Cap)
	}
}

package bench

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"
)

func TestWorkloadNames(t *testing.T) {
	all := Workloads()
	if len(all) != len(workloadNames) {
		t.Fatalf("%d workloads, %d names", len(all), len(workloadNames))
	}
	for i, w := range all {
		if w.Name != workloadNames[i] {
			t.Errorf("workload %d is %s, its name in the list %s", i, w.Name, workloadNames[i])
		}
		if _, ok := headline[w.Name]; !ok {
			t.Errorf("%s: not in the table's headlines", w.Name)
		}
		for _, m := range w.Metrics {
			if m.Title == "" || m.Better != Higher && m.Better != Lower {
				t.Errorf("%s: metric %+v is not complete", w.Name, m)
			}
		}
	}
	if err := CheckWorkloads([]string{"download", "dance"}); err == nil {
		t.Error("a workload called dance was accepted")
	}
}

// Every workload yields every metric that it promises, whatever the line is.
func TestWorkloads(t *testing.T) {
	for _, w := range Workloads() {
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel()
			s := setting(t, newLine(t))
			if w.Time(s) <= 0 {
				t.Error("takes no time")
			}
			r := runWorkload(t, w.Name, s)
			want := w.Metrics
			if w.Name == "fetch" || w.Name == "send" {
				want = []Metric{{Name: "t_10kB"}, {Name: "t_100kB"}}
			}
			for _, m := range want {
				if v, ok := r.Metrics[m.Name]; !ok || math.IsNaN(v) || v < 0 {
					t.Errorf("%s = %v, %v", m.Name, v, ok)
				}
			}
			if len(r.Metrics) != len(want) {
				t.Errorf("metrics = %v, want only the promised ones", r.Metrics)
			}
			if r.Bytes <= 0 {
				t.Error("no byte was moved")
			}
		})
	}
}

// A single wrong byte fails every workload.
func TestWorkloadsFindDamage(t *testing.T) {
	for _, w := range Workloads() {
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel()
			l := newLine(t)
			l.damage = 60 // behind the command, in the first data
			s := setting(t, l)
			s.Scale.Bytes = 1
			if w.Name == "ttfb" || w.Name == "churn" {
				l.damage = 1 // they move two bytes; the command itself is hit
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("nothing was found"))
			defer cancel()
			if err := w.Run(ctx, s, newRecord()); err == nil || errors.Is(err, context.Cause(ctx)) {
				t.Errorf("Run = %v, want an error about the damage", err)
			}
		})
	}
}

// A workload ends when its context does, and says why.
func TestWorkloadsEnd(t *testing.T) {
	for _, w := range Workloads() {
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel()
			s := setting(t, newLine(t))
			s.Scale = Scale{Time: 100, Bytes: 1000}
			ctx, cancel := context.WithCancelCause(t.Context())
			enough := errors.New("enough")
			time.AfterFunc(20*time.Millisecond, func() { cancel(enough) })
			if err := w.Run(ctx, s, newRecord()); !errors.Is(err, enough) {
				t.Errorf("Run = %v, want %v", err, enough)
			}
		})
	}
}

// A workload on a way that refuses fails with the reason.
func TestWorkloadsRefused(t *testing.T) {
	for _, w := range Workloads() {
		if w.Name == "failover" {
			continue // goes on trying, which is its point
		}
		l := newLine(t)
		l.refused = errors.New("no way")
		if err := w.Run(t.Context(), setting(t, l), newRecord()); !errors.Is(err, l.refused) {
			t.Errorf("%s: Run = %v, want %v", w.Name, err, l.refused)
		}
	}
}

func TestSettingScales(t *testing.T) {
	s := &Setting{}
	if d, n := s.duration(time.Second), s.bytes(1000); d != time.Second || n != 1000 {
		t.Errorf("without a scale: %v, %d", d, n)
	}
	s.Scale = Scale{Time: 15, Bytes: 0.02}
	if d, n := s.duration(time.Second), s.bytes(1000); d != 15*time.Second || n != 20 {
		t.Errorf("scaled: %v, %d", d, n)
	}
	if n := s.bytes(1); n != 1 {
		t.Errorf("bytes(1) = %d, want at least one", n)
	}
}

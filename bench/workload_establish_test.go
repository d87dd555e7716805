package bench

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// starterStage starts as the given times say, one after the other.
type starterStage struct {
	fakeStage
	starts []Start
	err    error
}

func (s *starterStage) Start(context.Context) (Start, error) {
	if s.err != nil {
		return Start{}, s.err
	}
	next := s.starts[0]
	s.starts = append(s.starts[1:], next)
	return next, nil
}

// establishBed measures one stage.
func establishBed(t *testing.T, stage *starterStage) *bed {
	t.Helper()
	b := newBed(t, "x")
	b.Mode, b.Workloads, b.Catalogue = ModeEstablish, nil, []Workload{Establish()}
	b.Transports[0].Open = func(context.Context, *Env) (Stage, error) {
		stage.site, stage.closed = b.sites[len(b.sites)-1], &b.closed
		return stage, nil
	}
	return b
}

// What happened in time gives a median, what did not a lower bound, and nothing is tried out before.
func TestEstablish(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	b := establishBed(t, &starterStage{starts: []Start{{ms(130), 0}, {ms(100), ms(500)}, {ms(120), 0}, {ms(110), 0}, {ms(7000), 0}}})
	res := b.run(t)
	if up, ok := res.Find("s", "x", "establish", "up"); !ok || up.Median != 120 || up.Censored {
		t.Errorf("up: %+v, want a median of 120", up)
	}
	if second, ok := res.Find("s", "x", "establish", "second"); !ok || second.Median != 6000 || !second.Censored {
		t.Errorf("second: %+v, want a lower bound of 6000", second)
	}
	if got, want := res.Runs[0].Samples["up"], []float64{130, 100, 120, 110, 6000}; !slices.Equal(got, want) {
		t.Errorf("samples %v, want %v", got, want)
	}
	if b.sites[0].dials > 0 {
		t.Errorf("%d connections before a start", b.sites[0].dials)
	}
	var text strings.Builder
	if err := res.WriteTable(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"120 (100..-) / - (500..-)", "4, 4"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
}

func TestEstablishFails(t *testing.T) {
	res := establishBed(t, &starterStage{err: errors.New("no such program")}).run(t)
	if run := res.Runs[0]; !strings.Contains(run.Error, "no such program") {
		t.Errorf("error %q", run.Error)
	}
	var text strings.Builder
	if err := res.WriteTable(&text); err != nil || !strings.Contains(text.String(), "? / ?") || !strings.Contains(text.String(), "no such program") {
		t.Errorf("%v:\n%s", err, text.String())
	}
	// What never comes is not waited for five times.
	if run := establishBed(t, &starterStage{starts: []Start{{}}}).run(t).Runs[0]; len(run.Samples["up"]) != establishVain || len(run.Censored) != 2 {
		t.Errorf("samples %v, lower bounds %v of what never starts", run.Samples["up"], run.Censored)
	}
	// A stage that is connected already cannot do it.
	b := newBed(t, "x")
	b.Workloads, b.Catalogue = nil, []Workload{Establish()}
	if run := b.run(t).Runs[0]; run.Error == "" {
		t.Error("a stage that cannot be started was measured")
	}
}

func TestSituations(t *testing.T) {
	all, err := Situations()
	if err != nil || len(all) < 5 {
		t.Fatalf("%d situations, %v; want five at least", len(all), err)
	}
	for _, s := range all {
		if !slices.IsSorted(s.Order) || s.Cut != -1 {
			t.Errorf("%s: order %v, cut %d; want the order of the file and none", s.Name, s.Order, s.Cut)
		}
	}
	if s, err := SelectSituations([]string{"slow-first", "equal"}); err != nil || len(s) != 2 || s[0].Name != "equal" {
		t.Errorf("two by name: %v, %v", s, err)
	}
	if _, err := SelectSituations([]string{"storm"}); err == nil || !strings.Contains(err.Error(), "first-silent") {
		t.Errorf("error %v, want one that says what there is", err)
	}
}

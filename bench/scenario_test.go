package bench

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/bench/lab"
)

// The file that is part of the program is right, and has what it must have.
func TestScenarios(t *testing.T) {
	all, err := Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]*Scenario)
	quick := 0
	for _, s := range all {
		names[s.Name] = s
		if len(s.Quick) > 0 {
			quick++
		}
		if s.Cut < 0 || s.Cut >= len(s.Paths) || len(s.Order) != len(s.Paths) {
			t.Errorf("%s: cut %d, order %v of %d paths", s.Name, s.Cut, s.Order, len(s.Paths))
		}
		sc := s.scene()
		if sc.Down.Sum < sc.Down.Best || sc.Down.Best <= 0 || sc.Up.Best <= 0 {
			t.Errorf("%s: ceilings %+v, %+v", s.Name, sc.Down, sc.Up)
		}
		for _, e := range s.Events {
			if f := strings.Fields(e.Do); len(f) < 2 || !slices.ContainsFunc(sc.Lines, func(l Line) bool { return l.Name == f[1] }) {
				t.Errorf("%s: event %q names no path", s.Name, e.Do)
			}
		}
	}
	for _, want := range []string{
		"equal", "wifi-lte", "cable-phone", "lossy", "unequal-rtt", "three", "fast", "satellite", "low-rate", "flapping", "asymmetric",
		"bufferbloat", "policed",
	} {
		if names[want] == nil {
			t.Errorf("no scenario %s", want)
		}
	}
	if quick < 3 {
		t.Errorf("%d scenarios in the quick set, want some", quick)
	}
	if s := names["lossy"]; s.PathName(s.Order[0]) != "wire" {
		t.Errorf("best path of lossy is %s, want the one without loss", s.PathName(s.Order[0]))
	}
	if s := names["policed"]; s.scene().Down.Sum > 60 {
		t.Errorf("policed carries %v, want what the policer lets pass", s.scene().Down.Sum)
	}
}

func TestParseScenariosFillsIn(t *testing.T) {
	all, err := ParseScenarios("x", []byte(`
scenarios:
  - name: a
    title: b
    why: c
    paths: [10M/80ms, "20M/20ms,name=fast,up.rate=2M"]
    cut: path0
    scale: {time: 2, bytes: 0.5}
    events: [{at: 1s, every: 3s, do: down fast}]
    workloads: [download, rr]
    sysctls: {net.ipv4.tcp_congestion_control: cubic}
`))
	if err != nil {
		t.Fatal(err)
	}
	s := all[0]
	if !slices.Equal(s.Order, []int{1, 0}) || s.Cut != 0 || s.PathName(1) != "fast" || s.maxRTT() != 80*time.Millisecond {
		t.Errorf("scenario = %+v", s)
	}
	if e := s.Events[0]; e != (Event{time.Second, 3 * time.Second, "down fast"}) {
		t.Errorf("event = %+v", e)
	}
	sc := s.scene()
	if sc.Up.Best < 9.6 || sc.Up.Best > 9.7 || sc.Down.Best < 19.3 || sc.Down.Best > 19.4 || sc.Lines[0].Down.Queue != 100_000 {
		t.Errorf("scene = %+v", sc)
	}
}

func TestParseScenariosRefuses(t *testing.T) {
	const good = "name: a, title: b, why: c, paths: [20M/30ms]"
	for text, want := range map[string]string{
		"scenarios: []":                                                      "no scenarios",
		"scenarios: [{" + good + ", x: 1}]":                                  "x",
		"scenarios: [{title: b, why: c, paths: [20M/30ms]}]":                 "name is missing",
		"scenarios: [{name: a, title: b, why: c}]":                           "paths are missing",
		"scenarios: [{name: quick, title: b, why: c, paths: [20M/30ms]}]":    "taken",
		"scenarios: [{" + good + "}, {" + good + "}]":                        "taken",
		"scenarios: [{name: a, title: b, why: c, paths: [fast]}]":            "RATE/RTT",
		"scenarios: [{" + good + ", workloads: [dance]}]":                    "dance",
		"scenarios: [{" + good + ", quick: [dance]}]":                        "dance",
		"scenarios: [{" + good + ", best: nowhere}]":                         "nowhere",
		"scenarios: [{" + good + ", cut: nowhere}]":                          "nowhere",
		"scenarios: [{" + good + ", scale: {time: -1}}]":                     "scale",
		"scenarios: [{" + good + ", events: [{at: soon, do: down 0}]}]":      "soon",
		"scenarios: [{" + good + ", events: [{at: 1s, every: 1ms, do: x}]}]": "every",
		"scenarios: [{" + good + ", events: [{at: 1s}]}]":                    "do is missing",
	} {
		_, err := ParseScenarios("file", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "file: ") {
			t.Errorf("%s:\n error %v, want one about %q", text, err, want)
		}
	}
}

func TestLoss(t *testing.T) {
	l := lab.Link{Loss: 0.01, Burst: lab.Burst{Enter: 0.1, Leave: 0.4, Loss: 0.5}}
	if got := loss(l); got < 0.1089 || got > 0.1091 { // 1 - 0.99 * (1 - 0.2*0.5)
		t.Errorf("loss = %v, want 0.109", got)
	}
}

package dashboard

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Rates are of the time between two samples; what began anew or was not there is unknown.
func TestHistory(t *testing.T) {
	var h history
	start := time.UnixMilli(1_000_000)
	for i, counters := range [][]Counter{
		{{"a", 0, 0}},
		{{"a", 10, 100}},
		{{"a", 10, 300}, {"b", 5, 5}},
		{{"a", 1, 1}, {"b", 5, 25}},
		{{"b", 5, 25}},
	} {
		h.sample(start.Add(time.Duration(i)*2*time.Second), counters)
	}
	want := `{"t":[1000000,1002000,1004000,1006000,1008000],` +
		`"down":{"a":[null,50,100,null,null],"b":[null,null,null,10,0]},` +
		`"up":{"a":[null,5,0,null,null],"b":[null,null,null,0,0]}}`
	if got := asJSON(t, h.all()); got != want {
		t.Errorf("history %s\nwant    %s", got, want)
	}
	if got := asJSON(t, h.latest()); got != `{"a":null,"b":[0,0]}` {
		t.Errorf("latest = %s", got)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	var h history
	start := time.UnixMilli(0)
	for i := range 2 * span {
		counters := []Counter{{"stays", 0, uint64(i)}}
		for k := range 2 * maxSeries {
			counters = append(counters, Counter{fmt.Sprint(i, " ", k), 0, 1})
		}
		h.sample(start.Add(time.Duration(i)*time.Second), counters)
	}
	if len(h.times) != span || len(h.of) > maxSeries || len(h.of["stays"].down) != span || len(h.of["stays"].up) != span {
		t.Errorf("%d times, %d series", len(h.times), len(h.of))
	}
	if first := h.times[0]; first != span*1000 {
		t.Errorf("the oldest sample is of %d ms, want %d", first, span*1000)
	}
	// What has gone is forgotten when its last rate is.
	for i := range span + 1 {
		h.sample(start.Add(time.Duration(2*span+i)*time.Second), nil)
	}
	if len(h.of) != 0 {
		t.Errorf("%d series are kept of what has gone", len(h.of))
	}
}

func TestConnRates(t *testing.T) {
	var r connRates
	now := time.Unix(1000, 0)
	conns := []Conn{{ID: 1, Down: 100, Up: 10}}
	if r.rate(conns, now); conns[0].DownRate != 0 || conns[0].UpRate != 0 {
		t.Errorf("at first: %+v", conns[0])
	}
	conns = []Conn{{ID: 1, Down: 300, Up: 20}, {ID: 2, Down: 1000}}
	if r.rate(conns, now.Add(2*time.Second)); conns[0].DownRate != 100 || conns[0].UpRate != 5 || conns[1].DownRate != 0 {
		t.Errorf("two seconds later: %+v", conns)
	}
	if busier(conns[0], conns[1]) >= 0 {
		t.Error("the one that carries something now is not the busier one")
	}
}

package trace

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestJSON(t *testing.T) {
	var b strings.Builder
	rec := JSON(&b)
	rec(Event{Time: 1500 * time.Microsecond, Name: "data:reinjected", Attrs: []Attr{Num("len", 1400), Str("reason", "late"), Num("addr_id", uint8(2)), Num("gap", int64(-3))}})
	rec(Event{Time: 2 * time.Second, Name: "session:closed"})
	want := `{"addr_id":2,"gap":-3,"len":1400,"name":"data:reinjected","reason":"late","time_us":1500}
{"name":"session:closed","time_us":2000000}
`
	if got := b.String(); got != want {
		t.Errorf("JSON wrote\n%swant\n%s", got, want)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// TestJSONOnABrokenWriter: a trace must not disturb what it watches.
func TestJSONOnABrokenWriter(t *testing.T) {
	rec := JSON(broken{})
	for range 3 {
		rec(Event{Name: "session:started"})
	}
}

package trace

import (
	"encoding/json"
	"testing"
	"time"
)

func TestAppendJSON(t *testing.T) {
	for _, tc := range []struct {
		e    Event
		want string
	}{
		{Event{Time: 2 * time.Second, Name: "session:closed"}, `{"time_us":2000000,"name":"session:closed"}`},
		{
			Event{
				Time: 1500 * time.Microsecond, At: time.Date(2026, 1, 2, 3, 4, 5, 6_789_000, time.FixedZone("x", 3600)), Session: "ab12cd", Path: "cable", Subflow: 2,
				Name: "data:reinjected", Attrs: []Attr{Num("len", 1400), Str("reason", "late"), Num("addr_id", uint8(2)), Micros("gap_us", -3*time.Microsecond)},
			},
			`{"at":"2026-01-02T02:04:05.006789Z","time_us":1500,"session":"ab12cd","path":"cable","subflow":2,"name":"data:reinjected","len":1400,"reason":"late","addr_id":2,"gap_us":-3}`,
		},
	} {
		if got := string(tc.e.AppendJSON(nil)); got != tc.want {
			t.Errorf("AppendJSON =\n%s, want\n%s", got, tc.want)
		}
	}
}

// TestAppendString: whatever a path is called, a line is a line of JSON.
func TestAppendString(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "eth0": "eth0", `a"b\c`: `a"b\c`, "two\nlines\t\x00\x7f": "two\nlines\t\x00\x7f", "größe €": "größe €", "\xff\xfe": "\uFFFD\uFFFD",
	} {
		text := appendString(nil, in)
		var got string
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Errorf("appendString(%q) = %s, which is %q, %v, want %q", in, text, got, err, want)
		}
	}
}

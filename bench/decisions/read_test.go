package decisions

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

var origin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// say is a line of a trace: an event about a connection of a path, some milliseconds after the origin.
func say(ms float64, path, subflow int, name string, more ...string) string {
	at := origin.Add(time.Duration(ms * float64(time.Millisecond)))
	line := fmt.Sprintf(`{"at":%q,"session":"ab","path":"p%d","subflow":%d,"name":%q,"addr_id":%d`, at.Format(time.RFC3339Nano), path, subflow, name, path)
	for _, m := range more {
		line += "," + m
	}
	return line + "}\n"
}

func held(reason string) string {
	return fmt.Sprintf(`"reason":%q,"in_flight":1000,"limit":2000`, reason)
}

func read(t *testing.T, lines ...string) *Side {
	t.Helper()
	s, err := Read(strings.NewReader(strings.Join(lines, "")))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// holdsOf are what a path was, and since which millisecond.
func holdsOf(p *Path) (out []string) {
	for _, c := range p.holds {
		out = append(out, fmt.Sprintf("%.0f %s", c.at*1000, c.hold))
	}
	return out
}

func TestHolds(t *testing.T) {
	sentOne := `"reason":"new","len":1000`
	for _, tc := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"asked, held, released", []string{
			say(0, 0, 1, "subflow:started"), say(10, 0, 1, "sched:held", held("idle")), say(20, 0, 1, "sched:released", held("idle")),
			say(20, 0, 1, "data:mapping_sent", sentOne), say(30, 0, 1, "sched:held", held("window")),
		}, "0 not connected; 0 sending; 10 nothing waits; 20 sending; 30 enough in flight"},
		{"a socket that was full tells when it is over", []string{
			say(0, 0, 1, "data:mapping_sent", sentOne), say(50, 0, 1, "sched:released", `"reason":"socket","held_us":40000`), say(50, 0, 1, "data:mapping_sent", sentOne),
		}, "0 not connected; 0 sending; 10 its socket is full; 50 sending"},
		{"or never: the path dies", []string{
			say(0, 0, 1, "data:mapping_sent", sentOne), say(100, 0, 1, "subflow:state_updated", `"to":"suspect"`), say(120, 0, 1, "sched:held", held("suspect")),
			say(300, 0, 1, "subflow:closed"), say(300, 0, 1, "data:lost", `"len":1000`),
		}, "0 not connected; 0 sending; 5 its socket is full; 100 no answer; 300 not connected"},
		{"suspicion ends", []string{
			say(0, 0, 1, "sched:held", held("idle")), say(10, 0, 1, "subflow:state_updated", `"to":"suspect"`), say(40, 0, 1, "subflow:state_updated", `"to":"up"`),
		}, "0 not connected; 0 nothing waits; 10 no answer; 40 nothing waits"},
		{"a second connection beside the silent one", []string{
			say(0, 0, 1, "subflow:state_updated", `"to":"suspect"`), say(10, 0, 2, "sched:held", held("trial")), say(20, 0, 2, "data:reinjected", `"reason":"trial","len":10`),
			say(30, 0, 1, "subflow:closed"), say(40, 0, 2, "sched:held", held("later")),
		}, "0 not connected; 0 no answer; 10 on trial; 20 sending; 40 others deliver sooner"},
		{"a reason yet to come", []string{say(0, 0, 1, "sched:held", held("moon"))}, "0 not connected; 0 another reason"},
		{"a wait longer than is known of", []string{
			say(0, 0, 1, "data:mapping_sent", sentOne), say(50, 0, 1, "sched:released", `"reason":"socket","held_us":9e12`),
		}, "0 not connected; 0 sending; 0 its socket is full; 50 sending"},
	} {
		s := read(t, tc.lines...)
		if got := strings.Join(holdsOf(s.Paths[0]), "; "); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

func TestKinds(t *testing.T) {
	for _, tc := range []struct {
		name, reason string
		want         Kind
	}{
		{"data:mapping_sent", "new", New},
		{"data:mapping_sent", "young", New},
		{"data:reinjected", "lost", Again},
		{"data:reinjected", "trial", Copy},
		{"data:reinjected", "stuck", Copy},
		{"data:reinjected", "yet to come", Copy},
	} {
		if got := kindOf(tc.name, tc.reason); got != tc.want {
			t.Errorf("%s, %s: %s, want %s", tc.name, tc.reason, got, tc.want)
		}
	}
}

// What is no event is skipped; what is odd does no harm.
func TestReadOddThings(t *testing.T) {
	s := read(
		t, "no JSON\n", "\n", "{}\n", `{"name":"x"}`+"\n", strings.Repeat("x", 3*maxLine)+"\n", "[1]\n",
		say(1000, 0, 1, "data:mapping_sent", `"len":100`),
		`{"at":"2026-01-02T03:04:06Z","name":"session:closed","session":"ab"}`+"\n",
		say(10, 0, 1, "data:mapping_sent", `"len":-5`), // the clock was set back
		say(1e12, 0, 1, "data:mapping_sent", `"len":1e300`),
		`{"at":"2026-01-02T03:04:06Z","name":"trace:dropped","events":7}`+"\n",
		say(2000, 1, 1, "subflow:attached", `"path":"`+strings.Repeat("long", 100)+`"`),
		strings.TrimSuffix(say(2500, 0, 1, "data:mapping_sent", `"len":100`), "\n"),
	)
	if s.Skipped != 6 || s.Dropped != 7 || s.Cut || len(s.Paths) != 2 {
		t.Errorf("skipped %d, dropped %d, cut %v, %d paths", s.Skipped, s.Dropped, s.Cut, len(s.Paths))
	}
	if got := s.Octets(0, 1e9); got != 200 {
		t.Errorf("%v octets, want 200", got)
	}
	if n := len([]rune(s.Paths[1].Name)); n != maxName {
		t.Errorf("a name of %d characters", n)
	}
	last := 0.0
	for _, x := range s.Paths[0].sent {
		if x.at < last {
			t.Errorf("%v after %v", x.at, last)
		}
		last = x.at
	}
}

func TestReadIsBounded(t *testing.T) {
	var lines []string
	for i := range maxPaths + 3 {
		lines = append(lines, say(float64(i), i, i+1, "subflow:started"))
	}
	if s := read(t, lines...); len(s.Paths) != maxPaths || !s.Cut {
		t.Errorf("%d paths, cut %v", len(s.Paths), s.Cut)
	}
	endless := io.MultiReader(strings.NewReader(say(0, 0, 1, "subflow:started")), &repeat{text: "\n"})
	if s, err := Read(endless); err != nil || !s.Cut || len(s.Paths) != 1 {
		t.Errorf("an endless trace: %v, cut %v", err, s.Cut)
	}
}

// repeat never ends.
type repeat struct{ text string }

func (r *repeat) Read(b []byte) (int, error) {
	n := 0
	for n+len(r.text) <= len(b) {
		n += copy(b[n:], r.text)
	}
	return n, nil
}

func TestReadOfABrokenDisk(t *testing.T) {
	broken := errors.New("broken disk")
	if _, err := Read(io.MultiReader(strings.NewReader(say(0, 0, 1, "x")), &failing{broken})); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

func TestRename(t *testing.T) {
	client, egress := read(t, say(0, 3, 1, "subflow:started")), read(t, say(0, 3, 1, "subflow:started"), say(0, 4, 1, "subflow:started"))
	client.Paths[0].Name = "cable"
	egress.Rename(client)
	if a, b := egress.Paths[0].Name, egress.Paths[1].Name; a != "cable" || b != "p4" {
		t.Errorf("names %q, %q", a, b)
	}
}

// Whatever is read can be looked at.
func FuzzRead(f *testing.F) {
	f.Add(say(0, 0, 1, "data:mapping_sent", `"len":100,"in_flight":5`) + say(3, 0, 1, "sched:released", `"reason":"socket","held_us":1`))
	f.Add(say(0, 0, 1, "subflow:estimated", `"phase":"ramp","rate":1e6,"srtt_us":3`) + say(9, 0, 1, "subflow:closed"))
	f.Add(say(5, 0, 1, "sched:held", held("later")) + say(1, 1, 2, "data:reinjected", `"len":-1`) + "junk")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Read(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, span := range [][2]float64{{0, 1}, {-5, 5}, {3, 3}, {2, 1}, {0, 1e9}} {
			checkView(t, s.View(span[0], span[1], 17), 17)
		}
	})
}

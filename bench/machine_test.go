package bench

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestParseMachine(t *testing.T) {
	got := parseMachine([]byte("cpu  100 20 3 4000 5 6 7 8 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\n"))
	if want := (machineUse{known: true, busy: 1030 * time.Millisecond, stolen: 80 * time.Millisecond}); got != want {
		t.Errorf("parseMachine = %+v, want %+v", got, want)
	}
	for _, bad := range []string{"", "cpu 1 2 3", "intr 1 2 3 4 5 6 7 8 9", "cpu a b c d e f g h"} {
		if parseMachine([]byte(bad)).known {
			t.Errorf("parseMachine(%q) is known", bad)
		}
	}
}

func TestParseProcess(t *testing.T) {
	stat := "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 120 30 0 0 20 0 1 0 5"
	if got := parseProcessCPU([]byte(stat)); got != 1500*time.Millisecond {
		t.Errorf("parseProcessCPU = %v, want 1.5s", got)
	}
	if got := parsePeak([]byte("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t 1 kB\n")); got != 2<<20 {
		t.Errorf("parsePeak = %d, want 2 MiB", got)
	}
	for _, bad := range []string{"", "x", "1 (x) S", "1 (x) S a b c d e f g h i j k l m n o"} {
		if parseProcessCPU([]byte(bad)) != 0 || parsePeak([]byte(bad)) != 0 {
			t.Errorf("%q was understood", bad)
		}
	}
	if u := ProcessUsage(-1); u != (Usage{}) {
		t.Errorf("usage of no process = %+v", u)
	}
	if _, err := os.Stat("/proc/self/status"); err == nil && ProcessUsage(os.Getpid()).Peak == 0 {
		t.Error("this process has no memory")
	}
}

func TestDisturbance(t *testing.T) {
	at := func(busy, stolen float64) machineUse { return machineUse{true, seconds(busy), seconds(stolen)} }
	for _, tc := range []struct {
		name          string
		before, after machineUse
		ours          float64
		want          string
	}{
		{"all of it ours", at(10, 0), at(14, 0), 4, ""},
		{"a little else", at(10, 0), at(14.5, 0), 4, ""},
		{"a lot else", at(10, 0), at(19, 0), 4, "other programs used 100 %"},
		{"stolen", at(10, 0), at(14, 1), 4, "the host took away 20 %"},
		{"more ours than there was", at(10, 0), at(13, 0), 4, ""},
		{"unknown", machineUse{}, at(19, 0), 4, ""},
	} {
		if _, got := disturbance(tc.before, tc.after, seconds(tc.ours), seconds(5)); !strings.HasPrefix(got, tc.want) || tc.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

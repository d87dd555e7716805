package upstream

import (
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// TestVigil tells the story of a line: at each moment what has been sent and
// received by then, and what follows from it.
func TestVigil(t *testing.T) {
	const ms = time.Millisecond
	type step struct {
		at             time.Duration
		sent, received uint64
		busy           bool
		want           verdict
	}
	for name, steps := range map[string][]step{
		"nobody uses it": {
			{0, 10, 10, false, lineHeard},
			{10 * time.Second, 10, 10, false, lineFine},
		},
		"a download whose line dies": {
			{0, 10, 100, true, lineHeard},
			{50 * ms, 20, 200, true, lineHeard},
			{100 * ms, 20, 200, true, lineFine},
			{150 * ms, 20, 200, true, lineAsk},
			{200 * ms, 21, 200, true, lineFine},
			{260 * ms, 21, 200, true, lineQuiet},
			{300 * ms, 21, 200, true, lineQuiet}, // until something is done about it
			{310 * ms, 21, 201, true, lineHeard},
		},
		"an upload whose line dies": {
			{0, 100, 10, false, lineHeard},
			{50 * ms, 200, 10, false, lineFine},
			{100 * ms, 300, 10, false, lineAsk},
			{210 * ms, 301, 10, false, lineQuiet},
		},
		"an open stream on which nothing happens": {
			{0, 10, 10, true, lineHeard},
			{100 * ms, 10, 10, true, lineAsk},
			{150 * ms, 11, 11, true, lineHeard}, // answered: the next question can wait
			{300 * ms, 11, 11, true, lineFine},
			{350 * ms, 11, 11, true, lineAsk},
			{400 * ms, 12, 12, true, lineHeard},
			{750 * ms, 12, 12, true, lineFine},
			{800 * ms, 12, 12, true, lineAsk},
			{850 * ms, 20, 30, true, lineHeard}, // traffic: back to the short pause
			{950 * ms, 20, 30, true, lineAsk},
		},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			var v vigil
			for _, s := range steps {
				st := quic.ConnectionStats{SmoothedRTT: 30 * ms, PacketsSent: s.sent, PacketsReceived: s.received}
				if got := v.look(start.Add(s.at), st, s.busy); got != s.want {
					t.Fatalf("at %v: verdict %d, want %d", s.at, got, s.want)
				}
			}
		})
	}
}

func TestVigilGivesANewLineTime(t *testing.T) {
	now := time.Now()
	st := quic.ConnectionStats{SmoothedRTT: time.Millisecond, PacketsSent: 5, PacketsReceived: 5}
	var v vigil
	v.look(now, st, true)
	v.moved(now, time.Second)
	st.PacketsSent++
	if got := v.look(now.Add(900*time.Millisecond), st, true); got != lineFine {
		t.Errorf("verdict within the grace = %d, want none", got)
	}
	if got := v.look(now.Add(time.Second), st, true); got != lineQuiet {
		t.Errorf("verdict after the grace = %d, want silence", got)
	}
}

func TestQUICPatience(t *testing.T) {
	const ms = time.Millisecond
	for _, tc := range []struct{ rtt, dev, want time.Duration }{
		{ms, 0, vigilWaitMin},
		{30 * ms, 5 * ms, 130 * ms},
		{600 * ms, 100 * ms, 1650 * ms},
		{20 * time.Second, 0, vigilWaitMax},
	} {
		if got := quicPatience(quic.ConnectionStats{SmoothedRTT: tc.rtt, MeanDeviation: tc.dev}); got != tc.want {
			t.Errorf("patience at %v ± %v = %v, want %v", tc.rtt, tc.dev, got, tc.want)
		}
	}
}

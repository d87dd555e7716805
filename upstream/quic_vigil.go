package upstream

import (
	"time"

	"github.com/quic-go/quic-go"
)

const (
	// vigilAsk is how long silence is natural: until then nothing is asked.
	vigilAsk = 100 * time.Millisecond
	// vigilAskMax is the longest wait between questions while streams are open
	// and nothing happens on them.
	vigilAskMax = 5 * time.Second
	// vigilWaitMin and vigilWaitMax bound how long an answer may take.
	vigilWaitMin = 100 * time.Millisecond
	vigilWaitMax = 10 * time.Second
	// ackDelay is what a peer may take until he acknowledges (RFC 9000, 18.2).
	ackDelay = 25 * time.Millisecond
)

// verdict is what a look at a connection's counters says.
type verdict int

const (
	lineHeard verdict = iota // there are signs of life since the last look
	lineFine                 // there need not be
	lineAsk                  // something should be sent that must be answered
	lineQuiet                // what was asked has not been answered in time
)

// A vigil tells from a connection's packet counters whether its line is alive.
// quic-go finds a dead one only by its idle time-out.
type vigil struct {
	sent, received uint64    // at the last sign of life
	heard          time.Time // when that was
	asked          time.Time // zero: nothing is asked
	pause          time.Duration
	grace          time.Time // no verdict before
}

// look compares the counters with the last ones. busy says that streams are open:
// then a peer who might be expected to send is asked now and then, because one who
// only receives would never notice.
func (v *vigil) look(now time.Time, st quic.ConnectionStats, busy bool) verdict {
	if st.PacketsReceived != v.received {
		v.answer(now, st)
		return lineHeard
	}
	if !v.asked.IsZero() {
		if now.Sub(v.asked) >= quicPatience(st) && !now.Before(v.grace) {
			return lineQuiet
		}
		return lineFine
	}
	silence := now.Sub(v.heard)
	if st.PacketsSent != v.sent && silence >= max(vigilAsk, st.SmoothedRTT) || busy && silence >= v.pause {
		v.asked = now
		return lineAsk
	}
	return lineFine
}

// answer notes a sign of life. An answer to a question alone means that nothing
// happens, and the next question may wait longer.
func (v *vigil) answer(now time.Time, st quic.ConnectionStats) {
	const lone = 2 // packets: the acknowledgement, and one by chance
	if !v.asked.IsZero() && st.PacketsReceived-v.received <= lone {
		v.pause = min(2*v.pause, vigilAskMax)
	} else {
		v.pause = vigilAsk
	}
	v.sent, v.received, v.heard, v.asked = st.PacketsSent, st.PacketsReceived, now, time.Time{}
}

// moved starts anew on another line, which gets some time to answer.
func (v *vigil) moved(now time.Time, grace time.Duration) {
	v.asked, v.grace, v.pause = now, now.Add(grace), vigilAsk
}

// again asks once more.
func (v *vigil) again(now time.Time) { v.asked = now }

// quicPatience is how long an answer may take. A queue on the line that has just
// begun to fill is allowed for: nothing is won by leaving a line that lives.
func quicPatience(st quic.ConnectionStats) time.Duration {
	return min(max(2*st.SmoothedRTT+4*st.MeanDeviation+2*ackDelay, vigilWaitMin), vigilWaitMax)
}

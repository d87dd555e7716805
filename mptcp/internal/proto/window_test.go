package proto

import (
	"testing"
	"time"
)

const ms = time.Millisecond

// measuredPath returns a subflow of the given rate and round-trip time whose rate has been found.
func measuredPath(rate float64, rtt time.Duration) *Subflow {
	sf := &Subflow{slot: 1}
	sf.health.start(second, rtt)
	sf.rate.sample(second, rate, false)
	sf.ramping, sf.rttvar = false, 0
	return sf
}

func TestWindowOfAPathNobodyMeasured(t *testing.T) {
	sf := &Subflow{}
	sf.health.start(second, 2*ms)
	if got := sf.limit(sf.recordSize()); got != initialRoom {
		t.Errorf("limit() = %d, want %d", got, initialRoom)
	}
	if got := sf.recordSize(); got != segment {
		t.Errorf("recordSize() = %d, want %d", got, segment)
	}
}

func TestWindowHoldsAboutTheProductOfRateAndDelay(t *testing.T) {
	for _, tc := range []struct {
		rate float64
		rtt  time.Duration
	}{{2.5e6, 30 * ms}, {12.5e6, 10 * ms}, {1e6, 400 * ms}, {25e6, 10 * ms}, {125e6, 20 * ms}} {
		sf := measuredPath(tc.rate, tc.rtt)
		bdp := tc.rate * tc.rtt.Seconds()
		records := float64(3 * sf.recordSize())
		if got := float64(sf.limit(sf.recordSize())); got < bdp+records/3 || got > 1.25*bdp+records+tc.rate*jitterSpan.Seconds() {
			t.Errorf("limit() of %v octets/s, %v = %v; the product is %v, a record %d", tc.rate, tc.rtt, got, bdp, sf.recordSize())
		}
	}
}

func TestWindowOfTheSlowestPath(t *testing.T) {
	sf := measuredPath(1200, 600*ms)
	if got := sf.limit(sf.recordSize()); got != leastRoom {
		t.Errorf("limit() of 9.6 kbit/s = %d, want %d", got, leastRoom)
	}
	if got := sf.recordSize(); got != segment {
		t.Errorf("recordSize() of 9.6 kbit/s = %d, want %d", got, segment)
	}
}

func TestRecordSize(t *testing.T) {
	for _, tc := range []struct {
		rate float64
		rtt  time.Duration
		want int
	}{
		{2.5e6, 30 * ms, 9375},    // 3.75 ms
		{2.5e6, 300 * ms, 16320},  // 8 ms, cut at one TLS record
		{2.5e6, 1 * ms, 5000},     // 2 ms at least
		{625e3, 12 * ms, 4096},    // small ones may take 8 ms
		{100e3, 12 * ms, segment}, // but never less than a segment
		{1e9, 30 * ms, 16320},
	} {
		if got := measuredPath(tc.rate, tc.rtt).recordSize(); got != tc.want {
			t.Errorf("recordSize() of %v octets/s, %v = %d, want %d", tc.rate, tc.rtt, got, tc.want)
		}
	}
}

// TestWindowLooksForTheRoundTripAgain holds a queue for longer than the lowest round-trip time counts.
func TestWindowLooksForTheRoundTripAgain(t *testing.T) {
	sf := measuredPath(2.5e6, 30*ms)
	now, rtt := second, 50*ms
	full := sf.limit(sf.recordSize())
	for ; sf.drainTo == 0; now += rtt {
		if now > second+2*minRTTFor {
			t.Fatalf("no drain after %v", now-second)
		}
		sf.sampleRTT(now, rtt, 1400)
	}
	if got := sf.limit(sf.recordSize()); got >= full*3/4 {
		t.Errorf("limit() while the queue drains = %d, before %d", got, full)
	}
	// The queue is gone: it was 30 ms all the time.
	sf.sampleRTT(now, 30*ms, 0)
	if sf.drainTo != 0 || sf.minRTT != 30*ms {
		t.Errorf("after a low round trip: draining until %v, minRTT %v", sf.drainTo, sf.minRTT)
	}
}

// TestWindowFollowsALongerRoute asks for the new round-trip time in seconds, and that the rate is looked for anew.
func TestWindowFollowsALongerRoute(t *testing.T) {
	sf := measuredPath(2.5e6, 20*ms)
	now := second
	for ; sf.minRTT < 200*ms; now += 50 * ms {
		if now > second+minRTTFor+2*second {
			t.Fatalf("minRTT is %v after %v of 200 ms", sf.minRTT, now-second)
		}
		sf.sampleRTT(now, 200*ms, 0)
	}
	if !sf.ramping {
		t.Error("the rate is not looked for anew")
	}
}

func TestWindowFollowsAShorterRouteAtOnce(t *testing.T) {
	sf := measuredPath(2.5e6, 200*ms)
	if sf.sampleRTT(second, 20*ms, 0); sf.minRTT != 20*ms {
		t.Errorf("minRTT after a sample of 20 ms: %v", sf.minRTT)
	}
}

func TestRampEndsWhenTheRateStopsGrowing(t *testing.T) {
	var w window
	w.start(second, 30*ms)
	now, rate := second, 1e5
	for range 6 {
		w.rated(now, rate, 30*ms, true)
		now, rate = now+30*ms, 2*rate
	}
	if !w.ramping {
		t.Fatal("ended while the rate doubled")
	}
	rounds := 0
	for ; w.ramping && rounds < 100; rounds++ {
		now += 30 * ms
		w.rated(now, rate, 30*ms, true)
		w.rated(now, rate, 30*ms, true)
	}
	if rounds > 5 {
		t.Errorf("took %d round trips to end", rounds)
	}
}

// TestPromiseOfABurst: two records that came together say that the path is fast, two that came one after the other that it is slow.
func TestPromiseOfABurst(t *testing.T) {
	sf := measuredPath(90e3, 30*ms)
	sf.ramping, sf.rate.kernel = true, 466e3
	sf.burst = 2.8e6
	if got := sf.promise(); got != 466e3 {
		t.Errorf("promise() with a dense burst = %v, want the kernel's window", got)
	}
	sf.burst = 25e3
	if got := sf.promise(); got != 90e3 {
		t.Errorf("promise() with a spread burst = %v, want what was measured", got)
	}
	if sf.ramping = false; sf.promise() != 90e3 {
		t.Errorf("promise() once the rate is found = %v, want 90e3", sf.promise())
	}
}

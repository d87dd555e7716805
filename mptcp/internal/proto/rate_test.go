package proto

import (
	"slices"
	"testing"
	"time"
)

const second = Instant(time.Second)

func TestRateBeforeAnyMeasure(t *testing.T) {
	var r rateFilter
	if got := r.estimate(); got != minRate || r.measured() {
		t.Errorf("estimate() of nothing = %v, measured %v; want %d", got, r.measured(), minRate)
	}
	r.kernel = 5000
	if got := r.estimate(); got != 5000 {
		t.Errorf("estimate() with the kernel's window only = %v, want 5000", got)
	}
}

func TestRateKeepsThePeakAndForgetsIt(t *testing.T) {
	var r rateFilter
	r.sample(second, 1e6, false)
	if !r.measured() || r.estimate() != 1e6 {
		t.Fatalf("estimate() = %v, measured %v; want 1e6", r.estimate(), r.measured())
	}
	forgotten := Instant(0)
	for now := second; now < 10*second; now += 10 * time.Millisecond {
		r.sample(now, 2e5, false)
		if r.estimate() == 2e5 && forgotten == 0 {
			forgotten = now
		}
	}
	if kept := forgotten - second; kept < 2*bucketSpan || kept > 5*bucketSpan {
		t.Errorf("the peak of a path that became slower was kept for %v, want about %v", kept, 4*bucketSpan)
	}
}

func TestRateOfLittleToSendSaysNothing(t *testing.T) {
	var r rateFilter
	r.sample(second, 1e6, false)
	for now := second; now < 60*second; now += 10 * time.Millisecond {
		r.sample(now, 1000, true)
	}
	if got := r.estimate(); got != 1e6 {
		t.Errorf("estimate() after a minute of little to send = %v, want 1e6", got)
	}
	r.sample(60*second, 3e6, true)
	if got := r.estimate(); got != 3e6 {
		t.Errorf("estimate() after more was carried with little to send = %v, want 3e6", got)
	}
}

func TestRateAfterAPause(t *testing.T) {
	var r rateFilter
	r.sample(second, 1e6, false)
	r.sample(3600*second, 5e5, false)
	if got := r.estimate(); got != 1e6 && got != 5e5 {
		t.Errorf("estimate() after an hour's pause = %v", got)
	}
	for now := 3600 * second; now < 3606*second; now += 100 * time.Millisecond {
		r.sample(now, 5e5, false)
	}
	if got := r.estimate(); got != 5e5 {
		t.Errorf("estimate() 6 s later = %v, want 5e5", got)
	}
}

// What the kernel has not seen delivered is not believed; what it saw two spans ago is forgotten.
func TestCeiling(t *testing.T) {
	var r rateFilter
	r.sample(time.Second, 900, false)
	if got := r.peak(); got != 900 {
		t.Errorf("without a ceiling: %v, want 900", got)
	}
	r = rateFilter{}
	r.ceiling.raise(time.Second, 500)
	r.ceiling.raise(time.Second, 300)
	r.sample(time.Second, 900, false)
	if got := r.peak(); got != 500 {
		t.Errorf("under a ceiling of 500: %v", got)
	}
	for at := time.Second; at < 10*time.Second; at += 100 * ms {
		r.ceiling.raise(at, 300)
	}
	if got := r.ceiling.bound(900); got != 300 {
		t.Errorf("after 9 s at 300: bound %v", got)
	}
}

// A stretch gives one rate for all of it, and says whether the path was full for nearly all of it.
func TestStretch(t *testing.T) {
	var x stretch
	var got []float64
	var partly []bool
	delivered := uint64(0)
	for i := range 31 { // 1000 octets each 10 ms
		delivered += 1000
		if done, rate, ok := x.take(Instant(i+1)*10*ms, delivered, i != 5 && i != 15 && i != 18, 30*ms+Instant(i)*ms, 20*ms); ok {
			got, partly = append(got, rate), append(partly, done.partly)
		}
	}
	if want := []float64{100_000, 100_000, 100_000}; !slices.Equal(got, want) {
		t.Errorf("rates %v, want %v", got, want)
	}
	if want := []bool{false, true, false}; !slices.Equal(partly, want) {
		t.Errorf("partly %v, want %v", partly, want)
	}
	x.end()
	if _, _, ok := x.take(time.Second, delivered+1000, true, 30*ms, 20*ms); ok {
		t.Error("a stretch that was cut off goes on")
	}
}

// One path that was found is paced at a little more than it carries, and believed to carry no more than it does.
func TestSettledRate(t *testing.T) {
	sim := newLab([]line{{20, 30 * ms}}, nil)
	sim.stream(0, simSide{}, simSide{write: bulk})
	sim.play(t, 10*time.Second)
	sf := sim.peers[1].s.subflows[0]
	if rate := sf.Rate() * 8 / 1e6; rate < 19 || rate > 21 {
		t.Errorf("rate %.2f Mbit/s, the path has 20", rate)
	}
	if pace := float64(sf.Pace()) * 8 / 1e6; pace < 24 || pace > 29 {
		t.Errorf("paced at %.2f Mbit/s, the path has 20", pace)
	}
	if sf.SRTT() > 42*ms {
		t.Errorf("smoothed round trip %v, the lowest is 30 ms", sf.SRTT())
	}
}

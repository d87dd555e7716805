package proto

import (
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

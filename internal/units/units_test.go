package units

import (
	"math"
	"testing"
)

func TestSize(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1000: "1 kB", 1500: "1.5 kB", 999_949: "999.9 kB", 999_950: "1 MB", 1_234_567: "1.235 MB", 30e9: "30 GB", 5e12: "5 TB", 5e15: "5 PB",
		math.MaxUint64: "18.45 EB",
	} {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestRate(t *testing.T) {
	for n, want := range map[float64]string{
		0: "0 bit/s", 0.5: "0.5 bit/s", 800: "800 bit/s", 2400: "2.4 kbit/s", 9600: "9.6 kbit/s", 12_345: "12.35 kbit/s", 20e6: "20 Mbit/s", 2e9: "2 Gbit/s",
		1e12: "1000 Gbit/s", 1.2345e14: "123450 Gbit/s",
	} {
		if got := Rate(n); got != want {
			t.Errorf("Rate(%v) = %q, want %q", n, got, want)
		}
	}
}

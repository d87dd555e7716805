//go:build linux || darwin

package tcpsock

import (
	"testing"
	"time"
)

func TestRoundUp(t *testing.T) {
	for _, c := range []struct {
		d, unit time.Duration
		want    int64
	}{
		{0, time.Second, 0},
		{-time.Second, time.Second, 0},
		{1, time.Second, 1},
		{time.Second, time.Second, 1},
		{1500 * time.Millisecond, time.Second, 2},
		{15 * time.Second, time.Millisecond, 15000},
	} {
		if got := roundUp(c.d, c.unit); got != c.want {
			t.Errorf("roundUp(%v, %v) = %d, want %d", c.d, c.unit, got, c.want)
		}
	}
}

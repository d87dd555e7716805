package seldom

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Line
		for i, tc := range []struct {
			after  time.Duration
			hushed int
			tell   bool
		}{{0, 0, true}, {0, 0, false}, {Every - 1, 0, false}, {1, 2, true}, {Every - 1, 0, false}, {2 * Every, 1, true}, {Every, 0, true}} {
			time.Sleep(tc.after)
			if hushed, tell := l.Now(); hushed != tc.hushed || tell != tc.tell {
				t.Errorf("call %d: %d, %v; want %d, %v", i, hushed, tell, tc.hushed, tc.tell)
			}
		}
	})
}

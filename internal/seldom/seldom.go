// Package seldom keeps what somebody else can cause at will from filling the log: a
// line is written at once when it was not written lately, and otherwise counted.
package seldom

import (
	"sync"
	"time"
)

// Every is how often one line may be written.
const Every = 10 * time.Second

// Line is one line of the log. The zero Line is ready for use, by any number of
// goroutines.
type Line struct {
	mu     sync.Mutex
	told   time.Time
	hushed int
}

// Now reports whether to write the line now, and how often it was left out since it
// was written last.
func (l *Line) Now() (hushed int, tell bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !l.told.IsZero() && now.Sub(l.told) < Every {
		l.hushed++
		return 0, false
	}
	hushed, l.hushed, l.told = l.hushed, 0, now
	return hushed, true
}

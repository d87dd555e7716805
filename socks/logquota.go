package socks

import (
	"log/slog"
	"sync"
	"time"
)

// Lines of one kind that may be logged in a time. What is asked for by clients can come by the thousand.
const (
	quotaLines = 20
	quotaTime  = 10 * time.Second
)

// logQuota bounds the lines of one kind. Those that are left out are counted, and the next line says how many.
type logQuota struct {
	mu      sync.Mutex
	since   time.Time
	lines   int
	skipped int
}

// info logs a line if the quota allows it.
func (q *logQuota) info(log *slog.Logger, msg string, args ...any) {
	ok, skipped := q.take(time.Now())
	switch {
	case !ok:
		log.Debug(msg, args...)
	case skipped > 0:
		log.Info(msg, append(args, "skipped", skipped)...)
	default:
		log.Info(msg, args...)
	}
}

func (q *logQuota) take(now time.Time) (ok bool, skipped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Sub(q.since) >= quotaTime {
		q.since, q.lines = now, 0
	}
	if q.lines == quotaLines {
		q.skipped++
		return false, 0
	}
	q.lines++
	skipped, q.skipped = q.skipped, 0
	return true, skipped
}

// Package logging makes the one logger of the program: a log/slog handler that
// writes by zerolog, as text for people or as JSON lines, through a bounded
// queue.
//
// Logging never holds the program up: when whoever reads the log stops reading,
// the queue fills, further lines are counted and dropped, and the count is
// logged when reading goes on. Values longer than 1 KiB are cut, so that a
// peer's words cannot fill the disk. Groups become prefixes of keys: a.b.
package logging

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/rs/zerolog"
)

// Options say what is logged, and how. The zero value is usable but for Out.
type Options struct {
	Out    io.Writer // where lines go; required
	Level  string    // debug, info, warn or error; "" is info
	Format string    // text or json; "" is text
	Color  bool      // colour text for a terminal
	Queue  int       // lines that may wait for Out; 0 is 1024
}

// A Logger is a slog.Logger with a queue that has to be closed.
type Logger struct {
	*slog.Logger
	queue *queue
	level *slog.LevelVar
}

// New makes a logger. Close must be called to write what still waits.
func New(o Options) (*Logger, error) {
	level := new(slog.LevelVar)
	if err := setLevel(level, o.Level); err != nil {
		return nil, err
	}
	if o.Queue <= 0 {
		o.Queue = 1024
	}
	if o.Format != "" && o.Format != "text" && o.Format != "json" {
		return nil, fmt.Errorf("log format %q: want text or json", o.Format)
	}
	q := newQueue(o.Out, o.Queue)
	l := &Logger{Logger: slog.New(newHandler(q, o, level)), queue: q, level: level}
	// What the queue's own goroutine has to say must not wait in the queue.
	direct := slog.New(newHandler(o.Out, o, level))
	q.start(func(dropped uint64) {
		direct.Warn("log lines dropped", "len", dropped, "reason", "nobody read them in time")
	})
	return l, nil
}

// SetLevel changes Options.Level, for all loggers made from this one too.
func (l *Logger) SetLevel(level string) error { return setLevel(l.level, level) }

func setLevel(to *slog.LevelVar, level string) error {
	if level == "" {
		level = "info"
	}
	if err := to.UnmarshalText([]byte(level)); err != nil {
		return fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	return nil
}

func newHandler(out io.Writer, o Options, level slog.Leveler) *handler {
	if o.Format != "json" {
		out = zerolog.ConsoleWriter{Out: out, NoColor: !o.Color, TimeFormat: timeFormat}
	}
	return &handler{out: zerolog.New(out), level: level}
}

// timeFormat is RFC 3339 with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// Close writes what waits in the queue, but takes no longer than wait: an
// output that is stuck must not keep the program from ending. What is logged
// afterwards is dropped.
func (l *Logger) Close(wait time.Duration) { l.queue.close(wait) }

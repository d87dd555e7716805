package upstream

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// stagger is how long a try has the field to itself before the next one starts
// beside it: the Connection Attempt Delay of RFC 8305, section 5.
const stagger = 250 * time.Millisecond

var errNothing = errors.New("nothing to try")

// race makes n tries at one thing, in order: the next starts when one fails or
// delay has passed. The first success wins; the others are cancelled, and a
// success that comes too late is handed to discard. It returns when no try runs
// any more, so try must heed its context.
func race[T any](ctx context.Context, n int, delay time.Duration, try func(ctx context.Context, i int) (T, error), discard func(T)) (T, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.NewTimer(delay)
	defer timer.Stop()
	r := &runners[T]{try: try, n: n, results: make(chan result[T])}
	var won *T
	var failed attempts
	next := func() {
		if won == nil && ctx.Err() == nil && r.start(ctx) {
			timer.Reset(delay)
		}
	}
	for next(); r.running > 0; {
		select {
		case <-timer.C:
			next()
		case x := <-r.results:
			r.running--
			switch {
			case x.err != nil:
				failed = append(failed, x.err)
				next()
			case won != nil:
				discard(x.value)
			default:
				won = &x.value
				cancel()
			}
		}
	}
	if won != nil {
		return *won, nil
	}
	var none T
	return none, cmp.Or(failed.err(), ctx.Err(), errNothing)
}

// runners are the tries of one race; each reports its result and ends.
type runners[T any] struct {
	try     func(ctx context.Context, i int) (T, error)
	n       int // how many there are
	started int
	running int
	results chan result[T]
}

type result[T any] struct {
	value T
	err   error
}

// start starts the next try, if there is one.
func (r *runners[T]) start(ctx context.Context) bool {
	if r.started == r.n {
		return false
	}
	i := r.started
	r.started++
	r.running++
	go func() {
		v, err := r.try(ctx, i)
		r.results <- result[T]{v, err}
	}()
	return true
}

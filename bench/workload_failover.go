package bench

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	failoverCut  = 4 * time.Second
	failoverHeal = 9 * time.Second
	failoverEnd  = 15 * time.Second

	echoPace   = 50 * time.Millisecond
	echoSize   = 64
	backWindow = 300 * time.Millisecond // the rate is back when it has been for so long
	backShare  = 0.8
	sampleStep = 100 * time.Millisecond
	redialWait = 100 * time.Millisecond
)

// failover cuts a path under a download and a conversation, and gives it back.
func failover() Workload {
	return Workload{
		Name: "failover", Title: "A path falls silent for 5 s under a download and a conversation (64 B every 50 ms)",
		Metrics: []Metric{
			{"echo_stall", "longest silence of the conversation after the cut", "ms", Lower},
			{"bulk_stall", "longest silence of the download after the cut", "ms", Lower},
			{"back_cut", "time until 80 % of what is left flow again", "ms", Lower},
			{"echo_stall_heal", "longest silence of the conversation after the path is back", "ms", Lower},
			{"bulk_stall_heal", "longest silence of the download after the path is back", "ms", Lower},
			{"back_heal", "time until 80 % of the sum flow again", "ms", Lower},
			{"recover", "time until 80 % of what flowed before the cut flow again", "ms", Lower},
			{"before", "goodput before the cut", "Mbit/s", Higher},
			{"during", "goodput without the path", "Mbit/s", Higher},
			{"after", "goodput after the path is back", "Mbit/s", Higher},
			{"broken", "connections that broke", "", Lower},
		},
		Time:     func(s *Setting) time.Duration { return s.failoverTimes().end },
		Run:      runFailover,
		NeedsCut: true,
	}
}

// failoverTimes are the times of a run, counted from its start.
type failoverTimes struct{ cut, heal, end time.Duration }

func (s *Setting) failoverTimes() failoverTimes {
	// Far lines get the time to reach their rate first, and to react.
	stretch := max(1, float64(15*s.RTT)/float64(s.duration(failoverCut)))
	at := func(d time.Duration) time.Duration { return time.Duration(float64(s.duration(d)) * stretch) }
	return failoverTimes{at(failoverCut), at(failoverHeal), at(failoverEnd)}
}

// failoverRun is one run of the workload.
type failoverRun struct {
	s      *Setting
	at     failoverTimes
	start  time.Time
	bulk   meter
	echo   meter
	sent   []time.Duration // when each message of the conversation was sent
	rtts   []float64       // and how long its answer took; -1 for none
	mu     sync.Mutex      // guards broken, and sent and rtts while echo runs
	broken int
}

func runFailover(ctx context.Context, s *Setting, r *Record) error {
	f := &failoverRun{s: s, at: s.failoverTimes(), start: time.Now()}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	check := func(what string, err error) {
		if err != nil && ctx.Err() == nil {
			stop(fmt.Errorf("%s: %w", what, err))
		}
	}
	timed, cancel := context.WithDeadlineCause(ctx, f.start.Add(f.at.end), errTimeUp)
	defer cancel()
	wg.Go(func() { check("download", f.again(timed, f.download)) })
	wg.Go(func() { check("conversation", f.again(timed, f.converse)) })
	wg.Go(func() { r.Series = append(r.Series, f.samplePaths(timed)...) })
	check("path", f.cutAndHeal(timed, r))
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f.report(r)
	return nil
}

func (f *failoverRun) now() time.Duration { return time.Since(f.start) }

// cutAndHeal cuts the path and gives it back, in any case.
func (f *failoverRun) cutAndHeal(ctx context.Context, r *Record) error {
	if err := pause(ctx, time.Until(f.start.Add(f.at.cut))); err != nil {
		return err
	}
	r.Marks = append(r.Marks, Mark{round(f.now().Seconds(), 3), "cut"})
	if err := f.s.Cut(); err != nil {
		return err
	}
	waited := pause(ctx, time.Until(f.start.Add(f.at.heal)))
	r.Marks = append(r.Marks, Mark{round(f.now().Seconds(), 3), "heal"})
	if err := f.s.Heal(); err != nil {
		return err
	}
	return waited
}

// again repeats what breaks, as a program does that people use, until the time
// is up. Damage is not repeated.
func (f *failoverRun) again(ctx context.Context, do func(context.Context, int) error) error {
	for i := 0; ; i++ {
		err := ended(ctx, do(ctx, i))
		if ctx.Err() != nil {
			if err == errTimeUp {
				err = nil
			}
			return err
		}
		if _, corrupt := err.(*CorruptError); corrupt {
			return err
		}
		f.mu.Lock()
		f.broken++
		f.mu.Unlock()
		if err := pause(ctx, redialWait); err != nil {
			return nil
		}
	}
}

func (f *failoverRun) download(ctx context.Context, i int) error {
	c, err := f.s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.download(f.s.seed(i), untilEnd, func(n int, at time.Time) { f.bulk.add(at.Sub(f.start), int64(n)) })
}

// converse sends a small message at a fixed pace and reads the answers.
func (f *failoverRun) converse(ctx context.Context, i int) error {
	c, err := f.s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write([]byte("echo\n")); err != nil {
		return err
	}
	p := pattern(f.s.seed(1<<16 + i))
	f.mu.Lock()
	first := len(f.sent)
	f.mu.Unlock()
	talked := make(chan struct{})
	go f.talk(ctx, c, p, talked)
	var got int64
	err = c.receive(p, untilEnd, func(n int, at time.Time) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.echo.add(at.Sub(f.start), int64(n))
		for done := (got + int64(n)) / echoSize; got/echoSize < done; got += echoSize {
			m := first + int(got/echoSize)
			f.rtts[m] = round(millis(at.Sub(f.start)-f.sent[m]), 3)
		}
	})
	_ = c.Close()
	<-talked
	return err
}

// talk sends the messages until the connection or the time ends.
func (f *failoverRun) talk(ctx context.Context, c *targetConn, p pattern, done chan<- struct{}) {
	defer close(done)
	for at := int64(0); pause(ctx, time.Until(f.start.Add(f.nextMessage()))) == nil; at += echoSize {
		f.mu.Lock()
		f.sent, f.rtts = append(f.sent, f.now()), append(f.rtts, -1)
		f.mu.Unlock()
		if _, err := p.write(c, at, at+echoSize); err != nil {
			return
		}
	}
}

// nextMessage is when the next message is due.
func (f *failoverRun) nextMessage() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.sent); n > 0 {
		return f.sent[n-1] + f.s.duration(echoPace)
	}
	return 0
}

// samplePaths records what each path carries down.
func (f *failoverRun) samplePaths(ctx context.Context) []Series {
	if f.s.PathBytes == nil {
		return nil
	}
	step := f.s.duration(sampleStep)
	var all []Series
	before := f.s.PathBytes()
	for _, p := range before {
		all = append(all, Series{Name: "path:" + p.Name, Unit: "Mbit/s", Step: step.Seconds()})
	}
	last := time.Now()
	for i := 1; pause(ctx, time.Until(f.start.Add(time.Duration(i)*step))) == nil; i++ {
		now, paths := time.Now(), f.s.PathBytes()
		for j := range min(len(all), len(paths)) {
			all[j].Values = append(all[j].Values, round(mbps(int64(paths[j].Down-before[j].Down), now.Sub(last)), 3))
		}
		last, before = now, paths
	}
	return all
}

// report turns the record of a run into figures.
func (f *failoverRun) report(r *Record) {
	at := f.at
	r.Metrics["echo_stall"] = millis(f.echo.silence(at.cut, at.heal, at.end))
	r.Metrics["bulk_stall"] = millis(f.bulk.silence(at.cut, at.heal, at.end))
	r.Metrics["echo_stall_heal"] = millis(f.echo.silenceAfter(at.heal, at.end))
	r.Metrics["bulk_stall_heal"] = millis(f.bulk.silenceAfter(at.heal, at.end))
	before := f.bulk.rate(at.cut/3, at.cut)
	r.Metrics["before"] = before
	r.Metrics["during"] = f.bulk.rate(at.cut+(at.heal-at.cut)/3, at.heal)
	r.Metrics["after"] = f.bulk.rate(at.heal+(at.end-at.heal)/3, at.end)
	r.Metrics["broken"] = float64(f.broken)
	f.back(r, "back_cut", at.cut, at.heal, backShare*f.s.CutRest)
	f.back(r, "back_heal", at.heal, at.end, backShare*f.s.Down.Sum)
	f.back(r, "recover", at.heal, at.end, backShare*before)
	r.Series = append(r.Series, f.bulk.series("goodput", f.s.duration(sampleStep), at.end))
	r.Series = append(r.Series, f.echoSeries())
	r.Bytes += f.bulk.sum() + 2*f.echo.sum()
}

// back notes when a rate has come back between two times.
func (f *failoverRun) back(r *Record, metric string, from, to time.Duration, rate float64) {
	if rate <= 0 {
		return // nobody knows what to expect
	}
	w := f.s.duration(backWindow)
	for t := from; t+w <= to; t += meterStep {
		if f.bulk.rate(t, t+w) >= rate {
			r.Metrics[metric] = millis(t - from)
			return
		}
	}
	r.atLeast(metric, millis(to-from))
}

// echoSeries is the round trip of the message that was sent in each step.
func (f *failoverRun) echoSeries() Series {
	step := f.s.duration(echoPace)
	s := Series{Name: "echo", Unit: "ms", Step: step.Seconds(), Values: make([]float64, int(f.at.end/step))}
	for i := range s.Values {
		s.Values[i] = -1
	}
	for i, t := range f.sent {
		if k := int(t / step); k < len(s.Values) {
			s.Values[k] = f.rtts[i]
		}
	}
	return s
}

package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"
)

// stand is one turn while it lasts: a transport that is up, ready to be
// measured.
type stand struct {
	*session
	t     turn
	site  Site
	set   *Setting
	stage Stage
	trace string // relative to the results' folder; empty: none
}

const (
	openTime    = 20 * time.Second // for the processes to start and a first answer to come
	warmPause   = 700 * time.Millisecond
	restorePace = 2 * time.Second // for transports to find a path again that was cut
	quietTime   = 5 * time.Second // at most, for what is on its way to arrive or be dropped
	attempts    = 3               // of a disturbed run, unless the runner says otherwise
)

func (st *stand) open(ctx context.Context, order []int, dir string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, openTime+20*st.set.RTT, errors.New("not ready in time"))
	defer cancel()
	env := st.site.Env(order, dir)
	env.Logger = st.log
	if st.trace != "" {
		env.Trace = filepath.Join(st.r.Trace, st.trace)
	}
	stage, err := st.t.transport.Open(ctx, env)
	if err != nil {
		return fmt.Errorf("start: %w", ended(ctx, err))
	}
	st.stage = stage
	st.set.Connect = func(ctx context.Context) (net.Conn, error) { return stage.Dial(ctx, st.site.Target()) }
	st.set.PathBytes = st.pathBytes
	if st.t.scenario.Cut >= 0 {
		st.set.Cut = func() error { return st.site.Cut(st.t.scenario.Cut) }
		st.set.Heal = func() error { return st.site.Heal(st.t.scenario.Cut) }
	}
	if s, ok := stage.(Starter); ok {
		st.set.Start = s.Start
		return nil
	}
	if err := st.warm(ctx); err != nil {
		return errors.Join(fmt.Errorf("first connection: %w", err), stage.Close())
	}
	return nil
}

func (st *stand) close() error {
	st.note(st.t.label, st.stage.Notes())
	return st.stage.Close()
}

// warm waits until the transport carries data, and then until all of its paths
// had the time to join.
func (st *stand) warm(ctx context.Context) error {
	st.set.Seed = mix(st.r.Seed)
	for {
		err := st.tryOut(ctx)
		if err == nil {
			return pause(ctx, st.set.duration(warmPause)+4*st.set.RTT)
		}
		if pause(ctx, 100*time.Millisecond) != nil {
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

func (st *stand) tryOut(ctx context.Context) error {
	c, err := st.set.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.exchange(st.set.seed(0), 100, st.set.bytes(30_000))
	return err
}

// measure runs one workload, again if something disturbed it.
func (st *stand) measure(ctx context.Context, w Workload) error {
	for attempt := 1; ; attempt++ {
		if err := st.settle(ctx); err != nil {
			return err
		}
		st.r.Progress.work(w.Name)
		run := st.once(ctx, w, attempt)
		if ctx.Err() != nil {
			return context.Cause(ctx) // half a run is none
		}
		st.add(run)
		if !st.repeat(attempt, run.Disturbed != "") {
			return nil
		}
		st.r.Progress.more(w.Time(st.set) + workOverhead)
	}
}

// maxFutile is how many repetitions in a row may be in vain: on a machine that
// is always busy they do not help. Calm makes them worth it again.
const maxFutile = 4

// repeat says whether a run is to be repeated.
func (s *session) repeat(attempt int, disturbed bool) bool {
	if !disturbed {
		s.futile = 0
		return false
	}
	if attempt > 1 {
		s.futile++
	}
	return attempt < cmp.Or(s.r.Attempts, attempts) && s.futile < maxFutile
}

// settle waits until nothing of what went before is on its way any more.
func (st *stand) settle(ctx context.Context) error {
	end := time.Now().Add(quietTime + 2*st.set.RTT)
	before := total(st.pathBytes())
	for time.Now().Before(end) {
		if err := pause(ctx, st.set.duration(workOverhead)/2); err != nil {
			return err
		}
		now := total(st.pathBytes())
		// Probes and acknowledgements of a transport at rest may go on.
		if st.site.Quiet() && now-before < 20_000 {
			return nil
		}
		before = now
	}
	return nil
}

func total(paths []PathBytes) (n uint64) {
	for _, p := range paths {
		n += p.Up + p.Down
	}
	return n
}

func (st *stand) pathBytes() []PathBytes {
	if p := st.site.PathBytes(); p != nil {
		return p
	}
	return st.stage.PathBytes()
}

// once runs one workload.
func (st *stand) once(ctx context.Context, w Workload, attempt int) Run {
	t := st.t
	run := Run{
		Scenario: t.scenario.Name, Transport: t.label, Workload: w.Name, Rep: t.rep, Attempt: attempt, Trace: st.recorded(),
	}
	st.set.Seed = mix(st.r.Seed ^ uint64(t.rep)<<8 ^ uint64(attempt)<<4)
	expected := w.Time(st.set)
	limit := cmp.Or(w.Limit, 3*expected+20*time.Second+20*st.set.RTT)
	wctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not finished after %s, expected %s",
		limit.Round(time.Second), expected.Round(time.Second)))
	defer cancel()

	st.stage.ResetPeak()
	before, paths := st.take(), st.pathBytes()
	rec := newRecord()
	started := time.Now()
	run.Started = started.UTC()
	events := st.startEvents(wctx, rec)
	err := w.Run(wctx, st.set, rec)
	took := time.Since(started)
	events.stop()
	after := st.take()

	run.Took = round(took.Seconds(), 3)
	run.fill(rec, before, after)
	run.Paths = pathsSince(paths, st.pathBytes())
	run.OtherCPU, run.Disturbed = disturbance(before.machine, after.machine, after.ours()-before.ours(), took)
	if err != nil {
		run.Error, run.Metrics, run.Censored = err.Error(), nil, nil
		st.log.Warn("workload failed", "scenario", run.Scenario, "transport", run.Transport, "workload", run.Workload, "err", err)
	}
	if len(t.scenario.Events) > 0 || w.NeedsCut {
		st.restore(ctx)
	}
	return run
}

// restore undoes what happened to the lines.
func (st *stand) restore(ctx context.Context) {
	if err := st.site.Restore(); err != nil {
		st.log.Warn("lines not restored", "scenario", st.t.scenario.Name, "err", err)
	}
	_ = pause(ctx, st.set.duration(restorePace)) // the caller sees that ctx has ended
}

// use is what processes and machine had used at a moment.
type use struct {
	client, egress Usage
	self, emulator time.Duration
	machine        machineUse
}

func (u use) ours() time.Duration { return u.client.CPU + u.egress.CPU + u.self + u.emulator }

func (st *stand) take() use {
	u := use{self: selfCPU(), emulator: st.site.CPU(), machine: readMachine()}
	u.client, u.egress = st.stage.Usage()
	return u
}

// fill copies what a workload found and adds what processes used.
func (run *Run) fill(rec *Record, before, after use) {
	run.Metrics, run.Censored, run.Samples = roundAll(rec.Metrics), rec.Censored, rec.Samples
	run.Series, run.Marks, run.Bytes, run.Notes = rec.Series, rec.Marks, rec.Bytes, rec.Notes
	for _, p := range []struct {
		name          string
		to            *ProcessUse
		before, after Usage
	}{{"client", &run.Client, before.client, after.client}, {"egress", &run.Egress, before.egress, after.egress}} {
		cpu := (p.after.CPU - p.before.CPU).Seconds()
		*p.to = ProcessUse{CPU: round(cpu, 3), Peak: p.after.Peak}
		// Processor time is counted in ticks of 10 ms: little of it says nothing.
		if rec.Bytes >= 2e6 && cpu > 0 {
			run.Metrics[p.name+"_cpu"] = round(cpu/(float64(rec.Bytes)/1e9), 3)
		}
		if rec.Conns >= 500 && cpu > 0 {
			run.Metrics[p.name+"_cpu_conn"] = round(1e6*cpu/float64(rec.Conns), 1)
		}
		if p.after.Peak > 0 {
			run.Metrics[p.name+"_rss"] = round(float64(p.after.Peak)/1e6, 2)
		}
	}
}

func pathsSince(before, after []PathBytes) []PathBytes {
	var all []PathBytes
	for i, p := range after {
		if i < len(before) {
			p.Up, p.Down = p.Up-before[i].Up, p.Down-before[i].Down
		}
		all = append(all, p)
	}
	return all
}

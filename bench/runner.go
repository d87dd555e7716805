package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
	"time"
)

// Runner measures transports on scenarios. Transports take turns within a
// repetition (A B C D A B C D ...), so that what changes slowly on the machine
// meets all of them alike; every turn has a laboratory and processes of its own.
type Runner struct {
	Mode       string // ModeLab, ModeLive, ModeLoopback or ModeEstablish
	Scenarios  []*Scenario
	Transports []Transport
	// Workloads to run; nil means those of the scenario.
	Workloads []string
	// Catalogue is what there is to run; nil means Workloads().
	Catalogue []Workload
	Runs      int
	Quick     bool // the scenarios' quick workloads, and shorter
	Attempts  int  // of a run that something else disturbs; 0 means 3
	Seed      uint64
	// Single, if there is one, is a transport that uses one path at a time. It
	// is run on every path alone, as the reference of what the paths carry.
	Single *Transport
	// Site makes the place where a turn of a repetition happens. Within one,
	// chance should be the same for all.
	Site func(s *Scenario, rep int) (Site, error)
	// Trace, if not empty, is the folder of the results: transports that can record
	// what they decide into TraceDir in it.
	Trace    string
	Command  []string
	Host     Host
	Progress *Progress // nil: silent
	// Save is called after every turn with what is done so far.
	Save   func(*Results) error
	Logger *slog.Logger // nil discards
}

// Site is where a turn happens: the lines and the target.
type Site interface {
	// Env is for the transport's Open, with the paths to use.
	Env(order []int, dir string) *Env
	// Target is what to dial.
	Target() string
	// Cut makes a path a silent blackhole, Heal ends that.
	Cut(path int) error
	Heal(path int) error
	// Do carries out an event; Restore takes back all of them and all cuts.
	Do(event string) error
	Restore() error
	PathBytes() []PathBytes
	// Quiet says whether nothing is on its way any more.
	Quiet() bool
	// CPU is the processor time of what emulates the lines.
	CPU() time.Duration
	Close() error
}

// quickScale shortens the workloads of the quick set.
const quickScale = 0.6

// turn is one transport in one scenario, once.
type turn struct {
	scenario  *Scenario
	transport *Transport
	label     string // the transport's, or that of a reference
	only      int    // the one path to use; -1 is all
	rep       int
	works     []Workload
}

// Run does everything. When ctx ends it returns what is done, and ctx's error.
func (r *Runner) Run(ctx context.Context) (*Results, error) {
	turns := r.plan()
	if len(turns) == 0 {
		return nil, errors.New("nothing to measure: no such workload in these scenarios")
	}
	res := r.newResults(turns)
	r.Progress.begin(r.estimate(turns), len(turns))
	defer r.Progress.end()
	s := &session{r: r, res: res, log: r.Logger}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for _, t := range turns {
		err := s.turn(ctx, t)
		if ctx.Err() != nil {
			return res, errors.Join(context.Cause(ctx), r.finish(res, false))
		}
		if err != nil {
			return res, errors.Join(err, r.finish(res, false))
		}
		if err := r.finish(res, false); err != nil {
			return res, err
		}
	}
	return res, r.finish(res, true)
}

// plan lists the turns in order.
func (r *Runner) plan() []turn {
	var turns []turn
	for rep := 1; rep <= max(1, r.Runs); rep++ {
		for _, s := range r.Scenarios {
			works := r.workloadsOf(s)
			if len(works) == 0 {
				continue
			}
			for i := range r.Transports {
				t := &r.Transports[i]
				turns = append(turns, turn{s, t, t.Name, -1, rep, works})
			}
			reference := slices.DeleteFunc(slices.Clone(works), func(w Workload) bool { return w.Name != "download" && w.Name != "upload" })
			if r.Single == nil || len(reference) == 0 || len(s.Paths) < 2 {
				continue
			}
			for i := range s.Paths {
				turns = append(turns, turn{s, r.Single, referenceName(r.Single.Name, s.PathName(i)), i, rep, reference})
			}
		}
	}
	return turns
}

func referenceName(transport, path string) string { return transport + " on " + path }

// workloadsOf are the workloads to run in a scenario.
func (r *Runner) workloadsOf(s *Scenario) []Workload {
	return slices.DeleteFunc(r.catalogue(), func(w Workload) bool {
		switch {
		case w.NeedsCut && s.Cut < 0:
			return true
		case r.Workloads != nil:
			// What was asked for by name is still not done where it makes no sense.
			return !slices.Contains(r.Workloads, w.Name) || s.Workloads != nil && !slices.Contains(s.Workloads, w.Name)
		case r.Quick:
			return !slices.Contains(s.Quick, w.Name)
		}
		return s.Workloads != nil && !slices.Contains(s.Workloads, w.Name)
	})
}

func (r *Runner) catalogue() []Workload {
	if r.Catalogue != nil {
		return slices.Clone(r.Catalogue)
	}
	return Workloads()
}

// setting is what workloads run on in a turn, without a connection.
func (r *Runner) setting(t turn) *Setting {
	sc := t.scenario
	scene := sc.scene()
	set := &Setting{RTT: sc.maxRTT(), Down: scene.Down, Up: scene.Up, Scale: r.scale(sc)}
	if t.only >= 0 {
		p := sc.Paths[t.only]
		set.RTT = p.RTT()
		set.Down, set.Up = Ceiling{Sum: capacity(p.Down), Best: capacity(p.Down)}, Ceiling{Sum: capacity(p.Up), Best: capacity(p.Up)}
	}
	if sc.Cut >= 0 {
		set.CutRest = scene.Down.Sum - capacity(sc.Paths[sc.Cut].Down)
	}
	return set
}

func (r *Runner) scale(s *Scenario) Scale {
	sc := s.Scale
	if sc.Time == 0 {
		sc.Time = 1
	}
	sc.Time *= r.timeScale()
	return sc
}

func (r *Runner) timeScale() float64 {
	if r.Quick {
		return quickScale
	}
	return 1
}

// turnOverhead is what a turn takes beside its workloads, and workOverhead what
// a workload takes beside its own time: about.
const (
	turnOverhead = 2500 * time.Millisecond
	workOverhead = 300 * time.Millisecond
)

func (r *Runner) estimate(turns []turn) time.Duration {
	var sum time.Duration
	for _, t := range turns {
		sum += r.estimateTurn(t)
	}
	return sum
}

func (r *Runner) estimateTurn(t turn) time.Duration {
	set := r.setting(t)
	d := turnOverhead + 8*set.RTT
	for _, w := range t.works {
		d += w.Time(set) + workOverhead + 2*set.RTT
	}
	return d
}

// newResults is results with nothing in them yet.
func (r *Runner) newResults(turns []turn) *Results {
	res := &Results{
		Schema: Schema, Mode: r.Mode, Started: time.Now().UTC().Truncate(time.Second), Command: r.Command, Host: r.Host,
		Settings: Settings{Runs: max(1, r.Runs), Quick: r.Quick, Seed: r.Seed, TimeScale: r.timeScale()},
		Runs:     []Run{}, Summary: []Summary{}, Benefit: []Benefit{},
	}
	if (r.Mode == ModeLab || r.Mode == ModeEstablish) && !r.Host.Root {
		res.Notes = append(res.Notes, "measured without root: the emulator had no real-time priority, so delays are less exact on a busy machine")
	}
	scenes, ways, works := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, t := range turns {
		if !scenes[t.scenario.Name] {
			scenes[t.scenario.Name] = true
			res.Scenes = append(res.Scenes, t.scenario.scene())
		}
		if !ways[t.label] {
			ways[t.label] = true
			w := Way{Name: t.label, Title: t.transport.Title}
			if t.only >= 0 {
				w.Only = t.scenario.PathName(t.only)
			}
			res.Ways = append(res.Ways, w)
		}
		for _, w := range t.works {
			works[w.Name] = true
		}
	}
	for _, w := range r.catalogue() {
		if works[w.Name] {
			res.Works = append(res.Works, Work{w.Name, w.Title, slices.Concat(w.Metrics, usageMetrics)})
		}
	}
	return res
}

// finish brings the derived figures up to date and saves everything.
func (r *Runner) finish(res *Results, complete bool) error {
	res.Finished = time.Now().UTC().Truncate(time.Second)
	res.Complete = complete
	res.Summarize()
	if r.Save == nil {
		return nil
	}
	return r.Save(res)
}

// session is what a run keeps between turns.
type session struct {
	r   *Runner
	res *Results
	log *slog.Logger
	// futile are the repeated runs in a row that were as disturbed as before.
	futile int
}

// turn sets a transport up, runs its workloads and takes it down.
func (s *session) turn(ctx context.Context, t turn) (err error) {
	began := time.Now()
	s.r.Progress.turn(t.scenario.Name, t.label, t.rep)
	defer func() { s.r.Progress.done(s.r.estimateTurn(t), time.Since(began)) }()
	site, err := s.r.Site(t.scenario, t.rep)
	if err != nil {
		return fmt.Errorf("scenario %s: %w", t.scenario.Name, err)
	}
	defer func() { err = errors.Join(err, site.Close()) }()
	dir, err := os.MkdirTemp("", "mpsocks-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	order := t.scenario.Order
	if t.only >= 0 {
		order = []int{t.only}
	}
	st := &stand{session: s, t: t, site: site, set: s.r.setting(t)}
	if st.trace, err = s.r.traceName(t); err != nil {
		return err
	}
	if err := st.open(ctx, order, dir); err != nil {
		s.failed(t, err)
		return nil
	}
	defer func() { err = errors.Join(err, st.close()) }()
	for _, w := range t.works {
		if err := st.measure(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// failed notes that a transport could not be measured at all.
func (s *session) failed(t turn, err error) {
	s.log.Warn("no measurement", "scenario", t.scenario.Name, "transport", t.label, "err", err)
	for _, w := range t.works {
		s.add(Run{
			Scenario: t.scenario.Name, Transport: t.label, Workload: w.Name, Rep: t.rep, Attempt: 1,
			Started: time.Now().UTC(), Error: err.Error(),
		})
	}
}

func (s *session) add(run Run) {
	s.res.Runs = append(s.res.Runs, run)
	s.r.Progress.result(s.res, &s.res.Runs[len(s.res.Runs)-1])
}

// note keeps what a transport says about itself, once.
func (s *session) note(label string, notes []string) {
	for i := range s.res.Ways {
		w := &s.res.Ways[i]
		if w.Name != label {
			continue
		}
		for _, n := range notes {
			if !slices.Contains(w.Notes, n) {
				w.Notes = append(w.Notes, n)
			}
		}
	}
}

// roundAll cuts figures to what is worth printing, and leaves out what is none.
func roundAll(m map[string]float64) map[string]float64 {
	out := make(map[string]float64, len(m))
	for k, v := range m {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			out[k] = round(v, 4)
		}
	}
	return out
}

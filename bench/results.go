package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Schema is the value of Results.Schema: the layout of results.json. A change
// that old readers would misread changes its number. results.schema.json says
// the same to programs.
const Schema = "mpsocks-bench/1"

// What a run measures on.
const (
	ModeLab       = "lab"       // emulated paths
	ModeLive      = "live"      // the user's lines
	ModeLoopback  = "loopback"  // no lines at all
	ModeEstablish = "establish" // how sessions start, on emulated paths
)

// Names of the files that a run leaves in its folder.
const (
	ResultsFile = "results.json"
	ReportFile  = "report.html"
	TextFile    = "results.txt" // for benchstat

	DecisionsFile = "decisions.html"
	TraceDir      = "trace" // the folder of traces
	TraceClient   = "-client.jsonl"
	TraceEgress   = "-egress.jsonl"
)

// Results is everything that a run found out, and about what. Times are
// seconds or milliseconds as the names say, rates Mbit/s (10^6) of payload.
type Results struct {
	Schema   string    `json:"schema"`
	Mode     string    `json:"mode"` // ModeLab, ModeLive, ModeLoopback or ModeEstablish
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Complete bool      `json:"complete"` // false: stopped before everything planned was done
	Command  []string  `json:"command"`
	Settings Settings  `json:"settings"`
	Host     Host      `json:"host"`
	Scenes   []Scene   `json:"scenarios"`
	Ways     []Way     `json:"transports"`
	Works    []Work    `json:"workloads"`
	Runs     []Run     `json:"runs"`
	Summary  []Summary `json:"summary"`
	Benefit  []Benefit `json:"aggregation_benefit"`
	Notes    []string  `json:"notes,omitempty"`
}

// Settings are the choices that the figures depend on.
type Settings struct {
	Runs      int     `json:"runs"` // repetitions that were asked for
	Quick     bool    `json:"quick"`
	Seed      uint64  `json:"seed"`
	TimeScale float64 `json:"time_scale"` // of all durations; 1 is the usual
}

// Host is the machine and the program. What is not known is empty or zero.
type Host struct {
	OS         string            `json:"os"`
	Arch       string            `json:"arch"`
	Kernel     string            `json:"kernel"`
	CPU        string            `json:"cpu"`
	CPUs       int               `json:"cpus"`
	Memory     int64             `json:"memory_bytes"`
	Root       bool              `json:"root"` // real-time scheduling of the emulator needs it
	Go         string            `json:"go"`
	Version    string            `json:"version"` // of mpsocks
	Commit     string            `json:"commit"`
	Modified   bool              `json:"modified"` // the commit is not all of the source
	Modules    map[string]string `json:"modules"`  // versions of what makes up the transports
	Congestion string            `json:"congestion_control"`
	Sysctls    map[string]string `json:"sysctls"`
}

// Scene is a scenario as it was run. In live mode it is the user's own lines,
// in loopback mode there are none.
type Scene struct {
	Name  string  `json:"name"`
	Title string  `json:"title"`
	Why   string  `json:"why"`
	Lines []Line  `json:"paths"`
	Down  Ceiling `json:"down"`
	Up    Ceiling `json:"up"`
	// Events are what happens to the lines while a workload runs.
	Events []string `json:"events,omitempty"`
	// Cut is the path that the failover workload cuts, -1 if none.
	Cut int `json:"cut"`
}

// Line is one path of a scenario.
type Line struct {
	Name string  `json:"name"`
	Spec string  `json:"spec"` // in the notation of the path laboratory; empty in other modes
	RTT  float64 `json:"rtt_ms"`
	Up   LineDir `json:"up"`
	Down LineDir `json:"down"`
}

// LineDir is one direction of a line as it was set.
type LineDir struct {
	Rate  float64 `json:"rate_mbps"` // of IP packets; 0 is unlimited or unknown
	Loss  float64 `json:"loss"`      // share of packets, bursts included
	Queue float64 `json:"queue_bytes"`
}

// Ceiling is what a direction of a scenario can carry: the payload of TCP
// segments of 1448 bytes in packets of 1500.
type Ceiling struct {
	Sum  float64 `json:"sum_mbps"`
	Best float64 `json:"best_mbps"` // of the best path alone
	// Measured says that the figures are medians of single-path TCP on each
	// path alone, not computed from the settings.
	Measured bool `json:"measured"`
}

// Way is a transport that took part.
type Way struct {
	Name  string   `json:"name"`
	Title string   `json:"title"`
	Notes []string `json:"notes,omitempty"`
	// Only is the path of a reference: single-path TCP over that path alone,
	// there to tell what each path carries; empty for what is compared.
	Only string `json:"only,omitempty"`
}

// Work is a workload that was run.
type Work struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Metrics []Metric `json:"metrics"`
}

// Run is one workload on one transport in one scenario, once.
type Run struct {
	Scenario  string    `json:"scenario"`
	Transport string    `json:"transport"`
	Workload  string    `json:"workload"`
	Rep       int       `json:"rep"`     // from 1
	Attempt   int       `json:"attempt"` // from 1; above 1 repeats a disturbed run
	Started   time.Time `json:"started"`
	Took      float64   `json:"took_s"`
	// Disturbed says what else kept the machine busy; such a run does not count
	// where there are others.
	Disturbed string `json:"disturbed,omitempty"`
	// Error is why there are no figures.
	Error string `json:"error,omitempty"`

	Metrics map[string]float64 `json:"metrics,omitempty"`
	// Censored metrics did not come to their end: the value is a lower bound.
	Censored []string `json:"censored,omitempty"`
	// Samples are single measurements behind the metrics, in order.
	Samples map[string][]float64 `json:"samples,omitempty"`
	Series  []Series             `json:"series,omitempty"`
	Marks   []Mark               `json:"marks,omitempty"`

	Bytes    int64       `json:"bytes"` // payload moved and verified
	Client   ProcessUse  `json:"client"`
	Egress   ProcessUse  `json:"egress"`
	Paths    []PathBytes `json:"path_bytes,omitempty"`
	OtherCPU float64     `json:"other_cpu"` // processors that something else kept busy, on average
	Notes    []string    `json:"notes,omitempty"`
	// Trace is where the decisions of both ends are recorded: a name in the folder of
	// the results that TraceClient or TraceEgress is to be appended to.
	Trace string `json:"trace,omitempty"`
}

// Series is a value over the time of a run. Value i covers the time from i
// steps to i+1 steps after the start.
type Series struct {
	Name   string    `json:"name"` // "goodput", "path:NAME" or "echo"
	Unit   string    `json:"unit"`
	Step   float64   `json:"step_s"`
	Values []float64 `json:"values"`
}

// Mark is something that happened during a run.
type Mark struct {
	At   float64 `json:"at_s"`
	What string  `json:"what"` // "cut", "heal" or a command of the path laboratory
}

// ProcessUse is what a process used during a run.
type ProcessUse struct {
	CPU  float64 `json:"cpu_s"`
	Peak int64   `json:"peak_rss_bytes"` // the most so far during the run
}

// PathBytes is what a path carried during a run, in IP packet bytes.
type PathBytes struct {
	Name string `json:"name"`
	Up   uint64 `json:"up_bytes"`
	Down uint64 `json:"down_bytes"`
}

// Summary is one metric over all repetitions that count.
type Summary struct {
	Scenario  string  `json:"scenario"`
	Transport string  `json:"transport"`
	Workload  string  `json:"workload"`
	Metric    string  `json:"metric"`
	Unit      string  `json:"unit"`
	N         int     `json:"n"`
	Median    float64 `json:"median"`
	Low       float64 `json:"low"`  // of the 95 % bootstrap confidence interval of the median
	High      float64 `json:"high"` // the same as Low when N is 1: nothing is known
	Censored  bool    `json:"censored,omitempty"`
	Disturbed bool    `json:"disturbed,omitempty"` // only disturbed runs were to be had
}

// Benefit is the experimental aggregation benefit of a transport in a scenario:
// 0 is as good as the best path alone, 1 as the sum of all, negative worse than
// the best path.
type Benefit struct {
	Scenario  string  `json:"scenario"`
	Transport string  `json:"transport"`
	Workload  string  `json:"workload"`
	Value     float64 `json:"value"`
	Measured  bool    `json:"measured"` // against measured paths, not settings
}

// Load reads the results of a run from a results.json or from its folder.
func Load(name string) (*Results, error) {
	if fi, err := os.Stat(name); err == nil && fi.IsDir() {
		name = filepath.Join(name, ResultsFile)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var r Results
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s: not results of a bench run: %w", name, err)
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("%s: layout %q; this program reads %s", name, r.Schema, Schema)
	}
	return &r, nil
}

// Encode writes results.json.
func (r *Results) Encode(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// Save puts results.json and the text for benchstat into a folder, each in one
// step: whoever reads, or loses power, sees the old file or the new one.
func (r *Results) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(
		WriteFile(filepath.Join(dir, ResultsFile), r.Encode),
		WriteFile(filepath.Join(dir, TextFile), r.WriteBenchfmt),
	)
}

// WriteFile puts what write writes into a file in one step.
func WriteFile(name string, write func(io.Writer) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // in vain when all went well
	if err := errors.Join(write(tmp), tmp.Chmod(0o644), tmp.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return os.Rename(tmp.Name(), name)
}

package bench

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// benchUnits are the units of metrics as benchstat knows or shows them. Its
// rule is that less is better except for units of something per second.
var benchUnits = map[string]string{"Mbit/s": "Mbit/s", "ms": "ms", "s/GB": "s/GB", "µs": "us/conn", "MB": "MB", "1/s": "conn/s", "": "n"}

// WriteBenchfmt writes every run that counts as a line of Go's benchmark format,
// so that benchstat compares two files.
func (r *Results) WriteBenchfmt(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "goos: %s\ngoarch: %s\npkg: github.com/mpsocks/mpsocks/bench\n", r.Host.OS, r.Host.Arch)
	if r.Host.CPU != "" {
		fmt.Fprintf(b, "cpu: %s\n", r.Host.CPU)
	}
	for _, unit := range []string{"Mbit/s", "conn/s"} {
		fmt.Fprintf(b, "Unit %s better=higher\n", unit)
	}
	for _, unit := range []string{"ms", "s/GB", "us/conn", "MB", "n"} {
		fmt.Fprintf(b, "Unit %s better=lower\n", unit)
	}
	for i := range r.Runs {
		run := &r.Runs[i]
		if run.Error != "" || run.Disturbed != "" {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(run.Metrics)) {
			m := r.metric(run.Workload, name)
			unit, ok := benchUnits[m.Unit]
			if !ok {
				unit = m.Unit
			}
			fmt.Fprintf(b, "BenchmarkLine/scenario=%s/transport=%s/%s/%s 1 %g %s\n",
				run.Scenario, word(run.Transport), run.Workload, name, run.Metrics[name], unit)
		}
	}
	return b.Flush()
}

// word makes a name one word that does not look like more than one part.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r == ' ' || r == '=' {
			return ':'
		}
		return r
	}, s)
}

package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// traceName is where a turn's decisions are recorded, within the folder of the
// results; empty if they are not.
func (r *Runner) traceName(t turn) (string, error) {
	if r.Trace == "" {
		return "", nil
	}
	if err := os.MkdirAll(filepath.Join(r.Trace, TraceDir), 0o755); err != nil {
		return "", fmt.Errorf("folder of traces: %w", err)
	}
	name := path.Join(TraceDir, fileWord(fmt.Sprintf("%s-%s-%d", t.scenario.Name, t.label, t.rep)))
	for _, end := range []string{TraceClient, TraceEgress} {
		for _, part := range []string{"", ".1"} { // of a measurement that used the folder before
			if err := os.Remove(filepath.Join(r.Trace, name) + end + part); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", fmt.Errorf("old trace: %w", err)
			}
		}
	}
	return name, nil
}

// fileWord makes a file's name of names that people give.
func fileWord(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '_'
	}, s)
}

// recorded is where this turn's decisions are, if the transport records any.
func (st *stand) recorded() string {
	if st.trace == "" {
		return ""
	}
	for _, end := range []string{TraceClient, TraceEgress} {
		if _, err := os.Stat(filepath.Join(st.r.Trace, st.trace) + end); err == nil {
			return st.trace
		}
	}
	return ""
}

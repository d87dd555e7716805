// Package doctor finds what keeps a client or an egress from working: findings about the
// machine that it runs on, each with its cause and the command that mends it.
//
// A check says what it found, or that it cannot be known here: no system tells
// everything. Nothing is changed, and nothing is sent to anybody. What needs the network
// or the program's own protocol is found elsewhere; this package gives it a form.
package doctor

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// A Level says how bad a finding is.
type Level string

// The levels, worst first.
const (
	Fail    Level = "fail"    // something does not work because of it
	Warn    Level = "warn"    // it works, but worse than it could, or not always
	Unknown Level = "unknown" // this system does not say
	OK      Level = "ok"
)

// A Finding is what one check found about one thing.
type Finding struct {
	Check   string `json:"check"` // its name: "rp_filter"
	Level   Level  `json:"level"`
	Subject string `json:"subject,omitempty"` // what it is about: "path phone"
	Text    string `json:"text"`              // what was found, and why it matters
	Mend    string `json:"mend,omitempty"`    // the command, or the change, that mends it
}

// A Report is what an examination found, in its order.
type Report struct {
	Findings []Finding `json:"findings"`
}

// Add notes a finding. args fill text.
func (r *Report) Add(level Level, check, subject, mend, text string, args ...any) {
	r.Findings = append(r.Findings, Finding{check, level, subject, fmt.Sprintf(text, args...), mend})
}

// Count is how many findings have that level.
func (r *Report) Count(l Level) int {
	n := 0
	for _, f := range r.Findings {
		if f.Level == l {
			n++
		}
	}
	return n
}

// Failed reports whether anything does not work.
func (r *Report) Failed() bool { return r.Count(Fail) > 0 }

// Print writes the report for people: what does not work first.
func (r *Report) Print(w io.Writer) error {
	var b strings.Builder
	for _, l := range []Level{Fail, Warn, Unknown, OK} {
		for _, f := range r.Findings {
			if f.Level != l {
				continue
			}
			fmt.Fprintf(&b, "%-7s %s: ", f.Level, f.Check)
			if f.Subject != "" {
				b.WriteString(f.Subject + ": ")
			}
			b.WriteString(f.Text + "\n")
			if f.Mend != "" {
				for line := range strings.SplitSeq(f.Mend, "\n") {
					b.WriteString("        mend: " + line + "\n")
				}
			}
		}
	}
	verb := "do"
	if r.Count(Fail) == 1 {
		verb = "does"
	}
	fmt.Fprintf(&b, "%d %s not work, %d could be better, %d cannot be known here, %d in order\n",
		r.Count(Fail), verb, r.Count(Warn), r.Count(Unknown), r.Count(OK))
	_, err := io.WriteString(w, b.String())
	return err
}

// Names are the checks that found something at that level, each once.
func (r *Report) Names(l Level) []string {
	var names []string
	for _, f := range r.Findings {
		if f.Level == l && !slices.Contains(names, f.Check) {
			names = append(names, f.Check)
		}
	}
	return names
}

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
)

// statusView is the JSON of the admin port, as far as the tables show it.
type statusView struct {
	Role    string
	Session struct {
		State, ID, Transport string
		Streams              int
	}
	Paths []pathView
}

// pathView is one path in that JSON.
type pathView struct {
	Name, State, Reason, Local, Remote, Role string

	RTT   *float64 `json:"rtt_ms"`
	TX    uint64   `json:"tx_bytes"`
	RX    uint64   `json:"rx_bytes"`
	Share *float64 `json:"share"`
}

// printStatus writes the session on one line and the table of its paths.
func printStatus(w io.Writer, s statusView) error {
	fmt.Fprintf(w, "%s   session %s   id %s   transport %s   streams %d\n\n",
		dash(s.Role), dash(s.Session.State), dash(s.Session.ID), dash(s.Session.Transport), s.Session.Streams)
	return printPaths(w, s.Paths)
}

// printPaths writes one line a path; the reason comes last because it is long.
func printPaths(w io.Writer, paths []pathView) error {
	if len(paths) == 0 {
		_, err := fmt.Fprintln(w, "no paths")
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "PATH\tSTATE\tROLE\tLOCAL\tREMOTE\tRTT\tSENT\tRECEIVED\tSHARE\tREASON")
	for _, p := range paths {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", dash(p.Name), dash(p.State), dash(p.Role),
			dash(p.Local), dash(p.Remote), millis(p.RTT), bytesText(p.TX), bytesText(p.RX), percent(p.Share), dash(p.Reason))
	}
	return tw.Flush()
}

// dash shows what is unknown as -, and keeps control characters, which a peer
// may have put into an error's text, off the terminal.
func dash(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if strings.TrimSpace(s) == "" {
		return "-"
	}
	return s
}

func millis(v *float64) string {
	switch {
	case v == nil || *v <= 0:
		return "-"
	case *v < 10:
		return fmt.Sprintf("%.1f ms", *v)
	default:
		return fmt.Sprintf("%.0f ms", *v)
	}
}

func percent(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", *v*100)
}

// bytesText is n in a unit that people read.
func bytesText(n uint64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/unit, 0
	for ; v >= unit && i < 4; i++ {
		v /= unit
	}
	return fmt.Sprintf("%.1f %cB", v, "kMGTP"[i])
}

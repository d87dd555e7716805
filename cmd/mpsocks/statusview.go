package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"
)

// statusView is the JSON of the admin port, as far as the tables show it.
type statusView struct {
	Role    string
	Session struct {
		State, Reason, ID, Transport string
		Streams                      int
	}
	Paths []pathView
	UDP   udpView
}

// udpView is what was done for UDP ASSOCIATE.
type udpView struct {
	Associations int
	Up, Down     uint64
	Dropped      map[string]uint64
}

// String says it in a line; nothing if there was nothing to do.
func (u udpView) String() string {
	if u.Associations == 0 && u.Up == 0 && u.Down == 0 && len(u.Dropped) == 0 {
		return ""
	}
	line := fmt.Sprintf("udp   associations %d   datagrams up %d   down %d", u.Associations, u.Up, u.Down)
	var why []string
	for _, reason := range slices.Sorted(maps.Keys(u.Dropped)) {
		why = append(why, fmt.Sprintf("%s %d", dash(reason), u.Dropped[reason]))
	}
	if len(why) > 0 {
		line += "   dropped: " + strings.Join(why, ", ")
	}
	return line + "\n"
}

// pathView is one path in that JSON.
type pathView struct {
	Client, Name, State, Reason, Local, Remote, Role string

	RTT   *float64 `json:"rtt_ms"`
	TX    uint64   `json:"tx_bytes"`
	RX    uint64   `json:"rx_bytes"`
	Share *float64 `json:"share"`
}

// roleEgress is what an egress calls itself.
const roleEgress = "egress"

// printStatus writes the session on one line and the table of its paths, or what an egress has of its clients.
func printStatus(w io.Writer, s statusView) error {
	if s.Role == roleEgress {
		fmt.Fprintf(w, "egress   %s   clients connected %d   streams %d\n", dash(s.Session.State), countClients(s.Paths), s.Session.Streams)
		fmt.Fprintln(w, s.UDP)
		return printPaths(w, s.Role, s.Paths)
	}
	fmt.Fprintf(w, "%s   session %s   id %s   transport %s   streams %d\n",
		dash(s.Role), dash(s.Session.State), dash(s.Session.ID), dash(s.Session.Transport), s.Session.Streams)
	if s.Session.Reason != "" {
		fmt.Fprintf(w, "reason: %s\n", dash(s.Session.Reason))
	}
	fmt.Fprintln(w, s.UDP)
	return printPaths(w, s.Role, s.Paths)
}

func countClients(paths []pathView) int {
	names := make(map[string]bool)
	for _, p := range paths {
		names[p.Client] = true
	}
	return len(names)
}

// printPaths writes one line a path; the reason comes last because it is long.
func printPaths(w io.Writer, role string, paths []pathView) error {
	if len(paths) == 0 {
		text := "no paths"
		if role == roleEgress {
			text = "no client is connected"
		}
		_, err := fmt.Fprintln(w, text)
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if role == roleEgress {
		printClients(tw, paths)
	} else {
		printLines(tw, paths)
	}
	return tw.Flush()
}

// printLines writes a client's paths. Bytes are counted since its start, so they may be a path's that was gone for a while.
func printLines(w io.Writer, paths []pathView) {
	idle := true
	for _, p := range paths {
		idle = idle && (p.Share == nil || *p.Share == 0)
	}
	fmt.Fprintln(w, "PATH\tSTATE\tROLE\tLOCAL\tREMOTE\tRTT\tSENT (TOTAL)\tRECEIVED (TOTAL)\tSHARE (10 s)\tREASON")
	for _, p := range paths {
		share := p.Share
		if idle {
			share = nil // of nothing
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", dash(p.Name), dash(p.State), dash(p.Role),
			dash(p.Local), dash(p.Remote), millis(p.RTT), bytesText(p.TX), bytesText(p.RX), percent(share), dash(p.Reason))
	}
}

// printClients writes the connections of an egress's clients. What the client calls the path is not known there; where it comes from is.
func printClients(w io.Writer, paths []pathView) {
	fmt.Fprintln(w, "CLIENT\tFROM\tTO\tSTATE\tROLE\tRTT\tSENT\tRECEIVED\tREASON")
	for _, p := range paths {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", dash(p.Client), dash(p.Remote), dash(p.Local), dash(p.State), dash(p.Role),
			millis(p.RTT), bytesText(p.TX), bytesText(p.RX), dash(p.Reason))
	}
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

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/mpsocks/mpsocks/internal/units"
)

// statusView is the JSON of the admin port, as far as the tables show it.
type statusView struct {
	Role    string
	Session struct {
		State, Reason, ID, Transport string
		Streams                      int
	}
	Paths    []pathView
	Egresses []egressView
	UDP      udpView
	Conns    *connTotals `json:"connections"`
}

// egressView is one of several egresses.
type egressView struct {
	Name, State, Reason, Chosen string

	InUse   bool     `json:"in_use"`
	RTT     *float64 `json:"rtt_ms"`
	Streams int
	Since   time.Time
}

// why is why new connections go there, or why it does not answer.
func (e *egressView) why() string {
	switch {
	case e.State != "up":
		return dash(e.Reason)
	case e.InUse:
		return "in use: " + dash(e.Chosen)
	}
	return "stands by"
}

// printEgresses writes one line an egress, if there are several.
func printEgresses(w io.Writer, all []egressView, now time.Time) error {
	if len(all) == 0 {
		return nil
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "EGRESS\tSTATE\tRTT\tSTREAMS\tSINCE\tREASON")
	for _, e := range all {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%s\t%s\n", dash(e.Name), dash(e.State), millis(e.RTT), e.Streams, age(e.Since, now), e.why())
	}
	fmt.Fprintln(tw)
	return tw.Flush()
}

// connTotals counts connections since the start.
type connTotals struct {
	Open, Opened uint64
	TX           uint64 `json:"tx_bytes"`
	RX           uint64 `json:"rx_bytes"`
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
	Client, Name, State, Reason, Local, Remote, Role, Interface string

	RoleReason string   `json:"role_reason"`
	RTT        *float64 `json:"rtt_ms"`
	Loss       *float64 `json:"loss"`
	TX         uint64   `json:"tx_bytes"`
	RX         uint64   `json:"rx_bytes"`
	TXRate     *float64 `json:"tx_rate"`
	RXRate     *float64 `json:"rx_rate"`
	Share      *float64 `json:"share"`

	Cap   *capView
	Since time.Time
}

// capView is what a path may carry in a month, and has, in bytes.
type capView struct{ Limit, Used uint64 }

// String says it in few letters.
func (c *capView) String() string {
	if c == nil || c.Limit == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %% of %s", 100*float64(c.Used)/float64(c.Limit), units.Size(c.Limit))
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
	if s.Conns != nil {
		fmt.Fprintf(w, "open %d   of %d   down %s   up %s\n", s.Conns.Open, s.Conns.Opened, units.Size(s.Conns.RX), units.Size(s.Conns.TX))
	}
	fmt.Fprintln(w, s.UDP)
	if err := printEgresses(w, s.Egresses, time.Now()); err != nil {
		return err
	}
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
		printLines(tw, paths, time.Now())
	}
	return tw.Flush()
}

// printLines writes a client's paths.
func printLines(w io.Writer, paths []pathView, now time.Time) {
	idle := true
	for _, p := range paths {
		idle = idle && (p.Share == nil || *p.Share == 0)
	}
	fmt.Fprintln(w, "PATH\tIF\tLOCAL->REMOTE\tSTATE\tREASON\tROLE\tRTT\tLOSS\tDOWN\tUP\tSHARE\tCAP\tSINCE")
	for _, p := range paths {
		share := p.Share
		if idle {
			share = nil // of nothing
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", dash(p.Name), dash(p.Interface), p.ends(), dash(p.State), p.why(), dash(p.Role),
			millis(p.RTT), percentFine(p.Loss), bits(p.RXRate), bits(p.TXRate), percent(share), p.Cap, age(p.Since, now))
	}
}

// ends are the path's two addresses.
func (p *pathView) ends() string {
	if p.Local == "" && p.Remote == "" {
		return "-"
	}
	return dash(p.Local) + "->" + dash(p.Remote)
}

// why is the reason of the state, and of the role if it is not the configured one.
func (p *pathView) why() string {
	if p.RoleReason == "" {
		return dash(p.Reason)
	}
	if p.Reason == "" || p.Reason == p.RoleReason {
		return dash(p.RoleReason)
	}
	return dash(p.Reason + "; " + p.RoleReason)
}

// printClients writes the connections of an egress's clients. What the client calls the path is not known there; where it comes from is.
func printClients(w io.Writer, paths []pathView) {
	fmt.Fprintln(w, "CLIENT\tFROM\tTO\tSTATE\tROLE\tRTT\tSENT\tRECEIVED\tREASON")
	for _, p := range paths {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", dash(p.Client), dash(p.Remote), dash(p.Local), dash(p.State), dash(p.Role),
			millis(p.RTT), units.Size(p.TX), units.Size(p.RX), dash(p.Reason))
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

// percentFine is percent for what is small.
func percentFine(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", *v*100)
}

// bits is a rate of bytes per second as people know it of lines.
func bits(v *float64) string {
	if v == nil {
		return "-"
	}
	return units.Rate(*v * 8)
}

// age is how long ago something was, in its two largest units.
func age(since, now time.Time) string {
	if since.IsZero() {
		return "-"
	}
	d := max(now.Sub(since), 0).Truncate(time.Second)
	switch {
	case d < time.Minute:
		return d.String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

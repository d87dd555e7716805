package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/internal/admin"
	"github.com/mpsocks/mpsocks/internal/units"
)

// connView is one open connection in the JSON of the admin port.
type connView struct {
	ID                         uint64
	Client, Kind, Target, Rule string

	Paths []string
	TX    uint64 `json:"tx_bytes"`
	RX    uint64 `json:"rx_bytes"`
	Since time.Time
}

// topFlags say what of the connections is shown, and how.
type topFlags struct {
	ask   askFlags
	once  bool
	most  int
	every time.Duration
	end   uint64
}

func topCmd(e env) *cobra.Command {
	f := topFlags{ask: askFlags{environ: e.environ}}
	c := &cobra.Command{
		Use:   "top",
		Short: "Show the open connections, the busiest first",
		Long: "top shows the connections that are open, the busiest first: how fast they are now, what they have carried,\n" +
			"by which paths, since when. --end resets one of them; it reads the private key that FILE names to prove that\n" +
			"it may. Where the output is no terminal, or with --once, it shows them once.",
		Example: "  mpsocks top\n  mpsocks top --once --json\n  mpsocks top --end 17 -c client.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case f.every < 100*time.Millisecond:
				return usagef("--every: want 100ms or more")
			case f.most < 1:
				return usagef("--most: want 1 or more")
			case c.Flags().Changed("end"):
				return f.endConn(c, e)
			case f.ask.json:
				answer, err := f.ask.fetch(c, "/connections")
				return printJSON(e, answer, err)
			}
			return f.show(c, e)
		},
	}
	f.ask.add(c)
	fl := c.Flags()
	fl.BoolVar(&f.once, "once", false, "show the connections once")
	fl.IntVar(&f.most, "most", 30, "show at most so many")
	fl.DurationVar(&f.every, "every", time.Second, "how often to look")
	fl.Uint64Var(&f.end, "end", 0, "reset the connection of this number; needs -c")
	return c
}

// endConn resets a connection.
func (f *topFlags) endConn(c *cobra.Command, e env) error {
	addr, token, err := adminOfAny(c, e, f.ask.config)
	if err != nil {
		return err
	}
	err = admin.EndConn(c.Context(), addr, token, f.end)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("nothing answers at %s: is a client or egress running?", addr)
	}
	if errors.Is(err, admin.ErrNotFound) {
		return fmt.Errorf("no connection %d, or it has ended; `mpsocks top` shows those that there are", f.end)
	}
	return err
}

// show prints the connections until it is told to stop, or once.
func (f *topFlags) show(c *cobra.Command, e env) error {
	var t topTable
	look := func(w io.Writer) error {
		answer, err := f.ask.fetch(c, "/connections")
		if err != nil {
			return err
		}
		var conns []connView
		if err := json.Unmarshal(answer, &conns); err != nil {
			return fmt.Errorf("read the connections: %w", err)
		}
		return t.print(w, conns, f.most, time.Now())
	}
	if f.once || !e.screen {
		return look(e.out)
	}
	ctx, cancel := context.WithCancelCause(c.Context())
	defer cancel(nil)
	defer stopOn(e.signals, cancel)()
	v := watching{every: f.every, screen: true, out: e.out}
	return v.run(ctx, look)
}

// topTable knows what it has shown before, for rates.
type topTable struct {
	at   time.Time
	seen map[uint64]connView
}

// topRow is a connection with its rates; nil: not known yet.
type topRow struct {
	connView
	down, up *float64
}

// print writes the busiest connections.
func (t *topTable) print(w io.Writer, conns []connView, most int, now time.Time) error {
	rows := t.rate(conns, now)
	slices.SortStableFunc(rows, busier)
	fmt.Fprintf(w, "connections %d\n\n", len(rows))
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ID\tTARGET\tKIND\tDOWN\tUP\tRECEIVED\tSENT\tPATHS\tAGE\tRULE\tCLIENT")
	for _, r := range rows[:min(most, len(rows))] {
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, dash(r.Target), dash(r.Kind), bits(r.down), bits(r.up),
			units.Size(r.RX), units.Size(r.TX), dash(strings.Join(r.Paths, "+")), age(r.Since, now), dash(r.Rule), dash(r.Client))
	}
	return tw.Flush()
}

// rate compares with what was there before.
func (t *topTable) rate(conns []connView, now time.Time) []topRow {
	span := now.Sub(t.at).Seconds()
	rows := make([]topRow, 0, len(conns))
	seen := make(map[uint64]connView, len(conns))
	for _, c := range conns {
		r := topRow{connView: c}
		if old, ok := t.seen[c.ID]; ok && span > 0 && c.RX >= old.RX && c.TX >= old.TX {
			down, up := float64(c.RX-old.RX)/span, float64(c.TX-old.TX)/span
			r.down, r.up = &down, &up
		}
		seen[c.ID] = c
		rows = append(rows, r)
	}
	t.at, t.seen = now, seen
	return rows
}

// busier orders by the rate of now, then by what was carried, then the newest first.
func busier(a, b topRow) int {
	rate := func(r topRow) float64 {
		if r.down == nil {
			return 0
		}
		return *r.down + *r.up
	}
	switch ra, rb := rate(a), rate(b); {
	case ra != rb:
		return sign(rb - ra)
	case a.RX+a.TX != b.RX+b.TX:
		return sign(float64(b.RX+b.TX) - float64(a.RX+a.TX))
	}
	return sign(float64(b.ID) - float64(a.ID))
}

func sign(v float64) int {
	switch {
	case v < 0:
		return -1
	case v > 0:
		return 1
	}
	return 0
}

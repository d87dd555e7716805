package bench

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// establishTrips is how many round trips a session takes to be up, at the client: TCP, TLS and the two of MP_CAPABLE.
const establishTrips = 4

// writeStarts writes how sessions start, a line a situation.
func (r *Results) writeStarts(w io.Writer) error {
	fmt.Fprintf(w, "Milliseconds from the begin of dialling until the session is up / until a second path is usable: medians; lowest..highest of all starts.\n"+
		"- is not within %s. Bound: %d round trips of each path, in the order of the list.\n\n", EstablishLimit, establishTrips)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(tw, "\tbound")
	for _, way := range r.Ways {
		fmt.Fprintf(tw, "\t%s", way.Name)
	}
	fmt.Fprintln(tw)
	for _, sc := range r.Scenes {
		var bounds []string
		for _, l := range sc.Lines {
			bounds = append(bounds, fmt.Sprintf("%.0f", establishTrips*l.RTT))
		}
		fmt.Fprintf(tw, "%s\t%s", sc.Title, strings.Join(bounds, ", "))
		for _, way := range r.Ways {
			fmt.Fprintf(tw, "\t%s / %s", r.started(sc.Name, way.Name, "up"), r.started(sc.Name, way.Name, "second"))
		}
		fmt.Fprintln(tw)
	}
	return cmp.Or(tw.Flush(), newline(w), r.writeRemarks(w))
}

func newline(w io.Writer) error {
	_, err := fmt.Fprintln(w)
	return err
}

// started is the median of all starts that count, and their range.
func (r *Results) started(scenario, transport, metric string) string {
	var all []float64
	for _, run := range r.Counted(scenario, transport, "establish") {
		all = append(all, run.Samples[metric]...)
	}
	if len(all) == 0 {
		return "?"
	}
	ms := func(v float64) string {
		if v >= millis(EstablishLimit) {
			return "-"
		}
		return fmt.Sprintf("%.0f", v)
	}
	mid, low, high := ms(median(all)), ms(slices.Min(all)), ms(slices.Max(all))
	if low == high {
		return mid
	}
	return fmt.Sprintf("%s (%s..%s)", mid, low, high)
}

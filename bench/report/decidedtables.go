package report

import (
	"fmt"
	"slices"

	"github.com/mpsocks/mpsocks/bench/decisions"
)

// tables are the figures behind a drawing.
func (d decided) tables() []namedTable {
	return []namedTable{
		{"What was given, and why", d.givenTable()},
		{"Why nothing was given", d.heldTable()},
		{"What happened", d.happenedTable()},
		{"Over time", d.timeTable()},
	}
}

func (d decided) givenTable() table {
	t := table{Head: []string{"path", "kind", "reason", "records", "octets"}}
	for _, p := range d.view.Paths {
		for _, w := range p.Why {
			t.add(p.Name, w.Kind.String(), w.Reason, fmt.Sprint(w.Records), amountOf(w.Octets))
		}
	}
	return t
}

func (d decided) heldTable() table {
	t := table{Head: []string{"path", "what it was", "part of the time", "all together, s", "longest, s"}}
	for _, p := range d.view.Paths {
		for _, h := range p.Time {
			t.add(p.Name, h.Hold.String(), percent(h.All/(d.view.To-d.view.From)), short(h.All), short(h.Longest))
		}
	}
	return t
}

// happenedTable lists marks in the order of time: those of the lines and those of paths.
func (d decided) happenedTable() table {
	type row struct {
		at         float64
		path, what string
	}
	var rows []row
	for _, m := range d.marks {
		if known(m.At) && m.At >= d.start && m.At <= d.start+d.view.To-d.view.From {
			rows = append(rows, row{m.At, "", m.What})
		}
	}
	for _, p := range d.view.Paths {
		for _, m := range p.Marks {
			rows = append(rows, row{d.start + m.At, p.Name, m.What})
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	t := table{Head: []string{"at, s", "path", "what"}}
	for _, r := range rows {
		t.add(fmt.Sprintf("%.3f", r.at), r.path, r.what)
	}
	return t
}

// timeRows is how many spans the table over time has.
const timeRows = 30

// timeTable says for spans of time what each path was given and what it was for
// the most part.
func (d decided) timeTable() table {
	t := table{Head: []string{"from, s"}}
	for _, p := range d.view.Paths {
		t.Head = append(t.Head, p.Name+", Mbit/s", "in flight of limit, kB", "mostly")
	}
	length := d.view.To - d.view.From
	for i := range timeRows {
		from, to := length*float64(i)/timeRows, length*float64(i+1)/timeRows
		row := []string{short(d.start + from)}
		for j := range d.view.Paths {
			row = append(row, d.span(&d.view.Paths[j], from, to)...)
		}
		t.add(row...)
	}
	return t
}

func (d decided) span(p *decisions.PathView, from, to float64) []string {
	sum, n := 0.0, 0.0
	flight, limit := 0.0, 0.0
	for i := range p.Rate {
		if at := (float64(i) + 0.5) * d.view.Step; at < from || at >= to {
			continue
		}
		n++
		for k := range p.Carried {
			sum += p.Carried[k][i]
		}
		if known(p.InFlight[i]) {
			flight = max(flight, p.InFlight[i])
		}
		if known(p.Limit[i]) {
			limit = p.Limit[i]
		}
	}
	h, share := p.Mostly(from, to, d.view.Step)
	return []string{short(sum / max(n, 1)), short(flight) + " of " + short(limit), fmt.Sprintf("%s %s", h, percent(share))}
}

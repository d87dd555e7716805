package report

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/mpsocks/mpsocks/bench"
)

// Places in a file of plots: a grid of panels under a heading and a legend.
const (
	fileMargin  = 16.0
	fileColumns = 2
	fileGap     = 28.0 // between columns
	panelHead   = 24.0
	panelFoot   = 18.0
	legendRow   = 20.0
)

// SavePlots puts every group of plots of the page into a folder, each as an SVG
// file that stands alone, for documents. It returns the names of the files.
func SavePlots(dir string, r *bench.Results) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	sections, _ := newData(tidy(r)).sections()
	var names []string
	for _, sec := range sections {
		for _, g := range sec.Groups {
			name := filepath.Join(dir, plotName(sec, g))
			err := bench.WriteFile(name, func(w io.Writer) error {
				_, err := io.WriteString(w, plotFile(sec, g))
				return err
			})
			if err != nil {
				return names, err
			}
			names = append(names, name)
		}
	}
	return names, nil
}

// plotName is a name for a group's file, whatever its title.
func plotName(sec section, g group) string {
	word := strings.Map(func(r rune) rune {
		switch r = unicode.ToLower(r); {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, g.Title)
	return strings.Trim(sec.ID+"-"+word, "-") + ".svg"
}

// plotFile is the file of a group.
func plotFile(sec section, g group) string {
	columns := max(1, min(fileColumns, len(g.Panels)))
	width := 2*fileMargin + float64(columns)*panelWidth + float64(columns-1)*fileGap
	var s svg
	title := sec.Title
	if g.Title != "" {
		title += ": " + g.Title
	}
	s.text("hd", fileMargin, fileMargin+12, fromStart, title)
	y := s.legend(append(sec.Legend, g.Legend...), width, fileMargin+30)
	var said []string
	for i := 0; i < len(g.Panels); i += columns {
		row := g.Panels[i:min(i+columns, len(g.Panels))]
		high := 0.0
		for j, p := range row {
			x := fileMargin + float64(j)*(panelWidth+fileGap)
			s.text("cp", x, y+13, fromStart, fit(p.Title, 13, panelWidth))
			s.b.WriteString(`<svg x="` + num(x) + `" y="` + num(y+panelHead) + `" width="` + num(panelWidth) + `" height="` + num(p.Plot.height) + `">` + p.Plot.markup + "</svg>")
			high = max(high, p.Plot.height)
			said = append(said, p.Plot.label)
		}
		y += panelHead + high + panelFoot
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%[1]s" height="%[2]s" viewBox="0 0 %[1]s %[2]s" role="img" aria-label="%[3]s"><style>%[4]s</style><rect class="bg" width="%[1]s" height="%[2]s" rx="8"/>%[5]s</svg>`+"\n",
		num(width), num(y), esc(title+". "+strings.Join(said, " ")), plotStyle(), s.b.String())
}

// legend writes the entries from left to right, in as many rows as they need.
func (s *svg) legend(keys []legendKey, width, y float64) float64 {
	if len(keys) == 0 {
		return y
	}
	x := fileMargin
	for _, k := range keys {
		w := 37 + textWidth(k.Text, 12) + 16
		if x > fileMargin && x+w > width-fileMargin {
			x, y = fileMargin, y+legendRow
		}
		s.b.WriteString(`<svg x="` + num(x) + `" y="` + num(y) + `" width="30" height="12">` + string(k.Swatch) + "</svg>")
		s.text("lg", x+37, y+10, fromStart, k.Text)
		x += w
	}
	return y + legendRow + 8
}

// plotStyle is what of the page's style sheet drawings need, and what only files
// have.
func plotStyle() string {
	var b strings.Builder
	b.WriteString(colours())
	b.WriteString("svg{font-family:system-ui,-apple-system,\"Segoe UI\",Roboto,\"Liberation Sans\",sans-serif}\n")
	for line := range strings.Lines(styleText) {
		if strings.HasPrefix(line, "svg ") {
			b.WriteString(line)
		}
	}
	b.WriteString("svg .bg{fill:var(--card)}svg .hd{font-size:15px;font-weight:650}svg .cp{font-size:13px;font-weight:600}svg .lg{font-size:12px}\n")
	return b.String()
}

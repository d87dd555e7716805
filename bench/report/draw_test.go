package report

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mpsocks/mpsocks/bench"
)

// box is where an element is.
type box struct{ left, top, right, bottom float64 }

// textBox is where a text is, about: fonts differ.
func textBox(t *testing.T, e element) box {
	t.Helper()
	const size = 10.5
	x, y, w := e.num(t, "x"), e.num(t, "y"), 0.5*size*float64(len([]rune(e.text)))
	switch e.attr["text-anchor"] {
	case atEnd:
		x -= w
	case atMiddle:
		x -= w / 2
	}
	return box{x, y - 0.75*size, x + w, y}
}

func (b box) meets(c box) bool {
	const slack = 1
	return b.left+slack < c.right && c.left+slack < b.right && b.top+slack < c.bottom && c.top+slack < b.bottom
}

// checkInside holds that nothing is drawn beside the drawing.
func checkInside(t *testing.T, d drawing) {
	t.Helper()
	in := func(what string, x, y float64) {
		if x < -1 || x > d.width+1 || y < -1 || y > d.height+1 {
			t.Errorf("%s at %v, %v is not within %v, %v", what, x, y, d.width, d.height)
		}
	}
	for _, e := range d.elements {
		switch e.name {
		case "rect":
			x, y := e.num(t, "x"), e.num(t, "y")
			in("rect", x, y)
			in("rect", x+e.num(t, "width"), y+e.num(t, "height"))
		case "line":
			in("line", e.num(t, "x1"), e.num(t, "y1"))
			in("line", e.num(t, "x2"), e.num(t, "y2"))
		case "circle":
			in("circle", e.num(t, "cx"), e.num(t, "cy"))
		case "text":
			in("text "+e.text, e.num(t, "x"), e.num(t, "y"))
		case "path":
			for _, m := range regexp.MustCompile(`([MLHV])([^MLHVZh]+)`).FindAllStringSubmatch(e.attr["d"], -1) {
				switch x, y, _ := strings.Cut(m[2], " "); m[1] {
				case "H":
					in("path", parse(t, x), 0)
				case "V":
					in("path", 0, parse(t, x))
				default:
					in("path", parse(t, x), parse(t, y))
				}
			}
		}
	}
}

// checkApart holds that no two labels lie on each other, and that none begins
// or ends outside.
func checkApart(t *testing.T, d drawing) {
	t.Helper()
	var texts []element
	for _, e := range d.elements {
		if e.name == "text" {
			texts = append(texts, e)
		}
	}
	for i, a := range texts {
		b := textBox(t, a)
		if b.left < -4 || b.right > d.width+4 {
			t.Errorf("label %q is cut off: %+v", a.text, b)
		}
		for _, other := range texts[:i] {
			if b.meets(textBox(t, other)) {
				t.Errorf("labels %q and %q lie on each other", a.text, other.text)
			}
		}
	}
}

func TestDrawings(t *testing.T) {
	all := drawings(t, render(t, full()))
	if len(all) < 30 {
		t.Fatalf("%d drawings", len(all))
	}
	for _, d := range all {
		checkInside(t, d)
		checkApart(t, d)
	}
}

// Labels stay apart whatever the figures are.
func TestLabels(t *testing.T) {
	w := way{Way: bench.Way{Name: "a-rather-long-name-of-a-transport"}}
	for _, size := range []float64{1e-6, 0.003, 0.9, 7, 99.99, 1234, 98765, 1.5e9} {
		for _, best := range []float64{0.001, 0.3, 0.5, 0.97, 1} {
			sum := bench.Summary{Median: size, Low: 0.8 * size, High: 1.2 * size, N: 3, Censored: true, Disturbed: true, Unit: "ms"}
			b := bars{title: "download", unit: "Mbit/s", bars: []bar{{way: w, sum: sum, known: true}, {way: w, why: "no figure"}}}
			b.marks = []mark{{best * size, "best path " + short(best*size)}, {size, "sum " + short(size)}}
			for _, d := range drawings(t, string(drawBars("x", []bars{b, b}).HTML())) {
				checkInside(t, d)
				checkApart(t, d)
			}
		}
		for _, spread := range []float64{1, 1.01, 3, 50, 1e5} {
			values := []float64{size, size * spread}
			for _, d := range drawings(t, string(drawCDF("x", "ms", []curve{{w, values}}).HTML())) {
				checkInside(t, d)
				checkApart(t, d)
			}
		}
	}
}

// The drawing of a bar is as long as its figure says.
func TestBarLength(t *testing.T) {
	b := bars{title: "x", top: 100}
	for _, v := range []float64{0, 25, 50, 100} {
		b.bars = append(b.bars, bar{sum: bench.Summary{Median: v, Low: v, High: v, N: 1}, known: true})
	}
	var widths []float64
	for _, e := range drawings(t, string(drawBars("x", []bars{b}).HTML()))[0].elements {
		if e.name == "rect" {
			widths = append(widths, e.num(t, "width"))
		}
	}
	if len(widths) != 4 || widths[0] != 1 || math.Abs(widths[2]-2*widths[1]) > 0.2 || math.Abs(widths[3]-2*widths[2]) > 0.2 {
		t.Errorf("bars of 0, 25, 50, 100 are %v wide", widths)
	}
}

// A whisker is drawn for an interval, and none where there is none.
func TestWhisker(t *testing.T) {
	for _, tc := range []struct {
		sum  bench.Summary
		want int
	}{
		{bench.Summary{Median: 5, Low: 4, High: 6, N: 5}, 3},
		{bench.Summary{Median: 5, Low: 5, High: 5, N: 1}, 0},
	} {
		got := strings.Count(string(drawBars("x", []bars{{bars: []bar{{sum: tc.sum, known: true}}}}).HTML()), `class="whisker"`)
		if got != tc.want {
			t.Errorf("%+v: %d strokes, want %d", tc.sum, got, tc.want)
		}
	}
}

// A distribution is thinned to its shape, with both ends kept.
func TestSteps(t *testing.T) {
	for _, n := range []int{1, 2, cdfPoints, cdfPoints + 1, 5000} {
		c := curve{}
		for i := range n {
			c.values = append(c.values, float64(i))
		}
		values, shares := c.steps()
		if len(values) != min(n, cdfPoints) || len(shares) != len(values) || values[0] != 0 || values[len(values)-1] != float64(n-1) || shares[len(shares)-1] != 1 {
			t.Errorf("%d values: %d steps from %v to %v", n, len(values), values[0], values[len(values)-1])
		}
	}
}

func TestThin(t *testing.T) {
	s := bench.Series{Step: 0.1}
	for i := range 4 * timelinePoints {
		s.Values = append(s.Values, float64(i%4))
	}
	s.Values[7] = -1
	if got := thin(s); len(got.Values) != timelinePoints || got.Values[0] != 1.5 || got.Values[1] != 0.75 || math.Abs(length(got)-length(s)) > 1e-9 {
		t.Errorf("means = %v ..., %v long", got.Values[:2], length(got))
	}
	if few := thin(bench.Series{Step: 1, Values: []float64{1, 2}}); len(few.Values) != 2 {
		t.Errorf("two values became %v", few.Values)
	}
	s.Values = slices.Repeat([]float64{1, 2}, echoPoints)
	s.Values[2], s.Values[4], s.Values[5] = -1, -1, -1
	if got := thinEcho(s); len(got.Values) != echoPoints || !slices.Equal(got.Values[:4], []float64{2, 2, -1, 2}) {
		t.Errorf("round trips = %v ..., want 2, 2 for one without a message, -1, 2", got.Values[:4])
	}
}

func TestLostOnes(t *testing.T) {
	got := lostOnes([]float64{-1, 5, -1, -1, 5, -1, 5, -1, -1, -1})
	if want := []float64{0, 5, -1, -1, 5, 0, 5, -1, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The axis of a timeline ends a little above what the paths carry; what is above
// is said in words.
func TestTimelinePeak(t *testing.T) {
	d := newData(tidy(full()))
	lines, ax := d.timelinesOf(d.scenes[0])
	if len(lines) != len(testWays) || math.Abs(ax.most-1.3*58) > 1e-9 || math.Abs(ax.end-15) > 1e-9 || lines[0].run.Rep != 3 {
		t.Fatalf("%d timelines, axes %+v", len(lines), ax)
	}
	if got := string(lines[0].draw("x", ax).HTML()); !strings.Contains(got, "▲ up to 400") || !strings.Contains(got, `class="gone"`) || !strings.Contains(got, `class="lost"`) {
		t.Error("no peak, no cut or no lost message in the drawing")
	}
	for i := range d.scenes {
		d.scenes[i].Down.Sum = 0 // nobody knows
	}
	if _, ax := d.timelinesOf(d.scenes[0]); ax.most != 400 {
		t.Errorf("without a sum the axis ends at %v, want 400", ax.most)
	}
}

// Paths are drawn on each other, and only if they go with each other.
func TestAreas(t *testing.T) {
	sc := scene{Scene: bench.Scene{Lines: []bench.Line{{Name: "one"}, {Name: "none"}, {Name: "two"}}}}
	run := &bench.Run{Series: []bench.Series{ramp("path:two", "", 0.1, 9, 2), ramp("path:one", "", 0.1, 9, 1)}}
	got := areasOf(run, sc)
	if len(got) != 2 || got[0].name != "one" || got[1].name != "two" || got[1].tone != 2 {
		t.Errorf("areas = %+v", got)
	}
	run.Series[0].Step = 0.2
	if got := areasOf(run, sc); got != nil {
		t.Errorf("areas of different steps = %+v", got)
	}
}

func TestTicks(t *testing.T) {
	for _, tc := range []struct {
		s    scale
		n    int
		want []float64
	}{
		{scale{lo: 0, hi: 100}, 4, []float64{0, 50, 100}},
		{scale{lo: 0, hi: 38.6}, 4, []float64{0, 10, 20, 30}},
		{scale{lo: -1, hi: 1}, 4, []float64{-1, -0.5, 0, 0.5, 1}},
		{scale{lo: 5, hi: 5}, 4, []float64{5}},
		{scale{lo: 10, hi: 1000, log: true}, 4, []float64{10, 100, 1000}},
		{scale{lo: 0, hi: 10, log: true}, 4, []float64{0}},
	} {
		got := tc.s.ticks(tc.n)
		same := len(got) == len(tc.want)
		for i := range got {
			same = same && math.Abs(got[i]-tc.want[i]) < 1e-9
		}
		if !same {
			t.Errorf("ticks of %+v = %v, want %v", tc.s, got, tc.want)
		}
	}
	for lo := 1e-9; lo < 1e15; lo *= 7 {
		for hi := lo * 1.001; hi < 1e15; hi *= 13 {
			for _, s := range []scale{{lo: lo, hi: hi}, {lo: lo, hi: hi, log: true}, {lo: -hi, hi: lo}} {
				if n := len(s.ticks(6)); n > 14 {
					t.Fatalf("%d ticks on %+v", n, s)
				}
			}
		}
	}
}

func TestFigures(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{short(0), "0"},
		{short(1234.5), "1234"},
		{short(12.34), "12.3"},
		{short(1.234), "1.23"},
		{short(0.01234), "0.0123"},
		{short(1e12), "1e+12"},
		{tick(math.Copysign(0, -1)), "0"},
		{tick(0.30000000000000004), "0.3"},
		{tick(20_000), "20k"},
		{fixed2(-0.001), "0.00"},
		{num(math.NaN()), "0"},
		{num(math.Inf(1)), "0"},
		{num(1.26), "1.3"},
		{fit("quic-multi", 11, 200), "quic-multi"},
		{rate(0.0024), "2.4" + nbsp + "kbit/s"},
		{rate(20), "20" + nbsp + "Mbit/s"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
	if got := fit("a-rather-long-name", 11, 50); textWidth(got, 11) > 50 || !strings.HasSuffix(got, "…") {
		t.Errorf("fit cut to %q", got)
	}
}

func TestCell(t *testing.T) {
	for _, tc := range []struct {
		s    bench.Summary
		want string
	}{
		{bench.Summary{Median: 37.9, Low: 37.88, High: 37.92, N: 3}, "37.9"},
		{bench.Summary{Median: 37.9, Low: 37, High: 38.8, N: 3}, "37.9 ±0.9"},
		{bench.Summary{Median: 1234, Low: 1200, High: 1300, N: 2, Disturbed: true}, "~1234 ±50"},
		{bench.Summary{Median: 5, Low: 4, High: 6, N: 1, Censored: true}, ">5.00"},
		{bench.Summary{Median: 0, Low: 0, High: 6, N: 3}, "0"},
		{bench.Summary{Median: 1e12, Low: 0, High: 2e12, N: 3}, "1e+12"},
	} {
		if got := cell(tc.s); got != tc.want {
			t.Errorf("cell of %+v = %q, want %q", tc.s, got, tc.want)
		}
	}
}

// luminance of a colour, after WCAG 2.2.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	var sum float64
	for i, share := range []float64{0.2126, 0.7152, 0.0722} {
		var v float64
		for _, c := range hex[1+2*i : 3+2*i] {
			v = v*16 + float64(strings.IndexRune("0123456789abcdef", c))
		}
		if v /= 255; v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += share * v
	}
	return sum
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// Text and drawings can be told from what is behind them, in both themes.
func TestContrast(t *testing.T) {
	named := make(map[string][3]string)
	for _, b := range base {
		named[b[0]] = b
	}
	for theme := 1; theme <= 2; theme++ {
		for _, ground := range []string{"bg", "card"} {
			for _, ink := range []string{"ink", "soft", "link", "good", "bad", "warn"} {
				if c := contrast(t, named[ink][theme], named[ground][theme]); c < 4.5 {
					t.Errorf("theme %d: %s on %s has a contrast of %.1f, want 4.5", theme, ink, ground, c)
				}
			}
			for _, set := range [][]tone{wayTones, lineTones, holdTones[:]} {
				for i, tone := range set {
					if c := contrast(t, []string{"", tone.light, tone.dark}[theme], named[ground][theme]); c < 3 {
						t.Errorf("theme %d: tone %d on %s has a contrast of %.1f, want 3", theme, i, ground, c)
					}
				}
			}
		}
	}
	for _, set := range [][]tone{wayTones, lineTones} {
		dashes := make(map[string]bool)
		for _, tone := range set {
			if dashes[tone.dash] {
				t.Errorf("dash %q twice: two lines are told apart by colour alone", tone.dash)
			}
			dashes[tone.dash] = true
		}
	}
}

func TestClean(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"plain", "plain"},
		{"two\nlines\ttab", "two lines tab"},
		{"\x00\u202e\xff", "\uFFFD\uFFFD\uFFFD"},
		{"größe", "größe"},
		{strings.Repeat("ä", 50), strings.Repeat("ä", 40) + "…"},
	} {
		if got := clean(tc.in, maxName); got != tc.want {
			t.Errorf("clean(%q) = %q, want %q", tc.in, got, tc.want)
		}
	}
}

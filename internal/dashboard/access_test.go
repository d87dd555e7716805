package dashboard

import (
	"io/fs"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// These tests look at the page as an audit of accessibility would: contrast of colours (WCAG 2.2, 1.4.3 and 1.4.11), names of controls, headings, language.

func file(t *testing.T, name string) string {
	t.Helper()
	text, err := embedded.ReadFile("page/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// palettes reads the colours of the style sheet: light, then dark.
func palettes(t *testing.T) [2]map[string]string {
	t.Helper()
	css := file(t, "style.css")
	light, dark, ok := strings.Cut(css, "@media (prefers-color-scheme:dark)")
	if !ok {
		t.Fatal("no dark colours")
	}
	dark, _, _ = strings.Cut(dark, "}}")
	var out [2]map[string]string
	for i, part := range []string{light, dark} {
		out[i] = make(map[string]string)
		for _, m := range regexp.MustCompile(`--([a-z0-9]+):(#[0-9a-f]{6});`).FindAllStringSubmatch(part, -1) {
			out[i][m[1]] = m[2]
		}
	}
	return out
}

// luminance is the relative luminance of a colour (WCAG 2.2).
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimPrefix(colour, "#"), 16, 32)
	if err != nil || len(colour) != 7 {
		t.Fatalf("colour %q", colour)
	}
	part := func(shift int) float64 {
		c := float64(n>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*part(16) + 0.7152*part(8) + 0.0722*part(0)
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestContrast(t *testing.T) {
	if got := contrast(t, "#000000", "#ffffff"); math.Abs(got-21) > 0.01 {
		t.Fatalf("black on white = %.2f, want 21", got)
	}
	const text, shape = 4.5, 3 // WCAG 2.2, 1.4.3 and 1.4.11
	pairs := []struct {
		fore, back []string
		least      float64
	}{
		{[]string{"ink", "soft", "good", "warn", "bad", "link"}, []string{"bg", "card"}, text},
		{[]string{"ink", "soft"}, []string{"button", "press"}, text},
		{[]string{"bg"}, []string{"ink"}, text},                                               // what is said for a while
		{[]string{"p0", "p1", "p2", "p3", "p4", "p5", "link"}, []string{"card", "bg"}, shape}, // curves, keys, bars
		{[]string{"line"}, []string{"bg", "card", "button"}, shape},                           // edges of controls
	}
	for i, colours := range palettes(t) {
		scheme := []string{"light", "dark"}[i]
		for _, p := range pairs {
			for _, f := range p.fore {
				for _, b := range p.back {
					if got := contrast(t, colours[f], colours[b]); got < p.least {
						t.Errorf("%s: %s on %s has a contrast of %.2f, want %.1f", scheme, f, b, got, p.least)
					}
				}
			}
		}
	}
}

// Both schemes have the same names, and the page uses no other.
func TestColours(t *testing.T) {
	both := palettes(t)
	for name := range both[0] {
		if both[1][name] == "" {
			t.Errorf("--%s has no dark colour", name)
		}
	}
	css := file(t, "style.css")
	for _, m := range regexp.MustCompile(`var\(--([a-z0-9]+)\)`).FindAllStringSubmatch(css, -1) {
		if both[0][m[1]] == "" {
			t.Errorf("--%s is used and has no colour", m[1])
		}
	}
	_, rules, _ := strings.Cut(css, "}}")
	if stray := regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b`).FindString(rules); stray != "" {
		t.Errorf("the colour %s has no name, so nobody looks at its contrast", stray)
	}
}

// walk calls f for each element of the page.
func walk(t *testing.T, f func(n *html.Node)) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(file(t, "index.html")))
	if err != nil {
		t.Fatal(err)
	}
	var down func(n *html.Node)
	down = func(n *html.Node) {
		if n.Type == html.ElementNode {
			f(n)
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			down(c)
		}
	}
	down(doc)
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// words is the text in an element.
func words(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		b.WriteString(words(c))
	}
	return strings.TrimSpace(b.String())
}

func TestMarkup(t *testing.T) {
	ids, labelled, fields := make(map[string]bool), make(map[string]bool), []string{}
	var refs []string
	level, mains := 0, 0
	walk(t, func(n *html.Node) {
		if id := attr(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("the id %s is there twice", id)
			}
			ids[id] = true
		}
		for _, a := range []string{"aria-labelledby", "for"} {
			if v := attr(n, a); v != "" {
				refs = append(refs, v)
			}
		}
		if h := attr(n, "href"); strings.HasPrefix(h, "#") {
			refs = append(refs, h[1:])
		}
		switch n.Data {
		case "html":
			if attr(n, "lang") == "" {
				t.Error("the page does not say its language")
			}
		case "main":
			mains++
		case "label":
			labelled[attr(n, "for")] = true
		case "input", "select":
			fields = append(fields, attr(n, "id"))
		case "button", "a", "title":
			if words(n) == "" && attr(n, "aria-label") == "" {
				t.Errorf("a %s has no name", n.Data)
			}
		case "svg":
			if attr(n, "role") != "img" || attr(n, "aria-label") == "" {
				t.Errorf("the chart %s has no name", attr(n, "id"))
			}
		case "h1", "h2", "h3":
			now := int(n.Data[1] - '0')
			if now > level+1 {
				t.Errorf("the heading %q skips a level", words(n))
			}
			level = now
		case "th":
			if attr(n, "scope") == "" || words(n) == "" {
				t.Errorf("the column %q has no name or no scope", words(n))
			}
		case "meta":
			if strings.Contains(attr(n, "content"), "user-scalable=no") || strings.Contains(attr(n, "content"), "maximum-scale") {
				t.Error("the page keeps people from making it larger")
			}
		}
		if i, err := strconv.Atoi(attr(n, "tabindex")); err == nil && i > 0 {
			t.Errorf("a %s is out of the order of the page", n.Data)
		}
	})
	for _, f := range fields {
		if !labelled[f] {
			t.Errorf("the field %s has no label", f)
		}
	}
	for _, r := range refs {
		if !ids[r] {
			t.Errorf("something refers to %s, which is not there", r)
		}
	}
	if mains != 1 {
		t.Errorf("%d main parts, want one", mains)
	}
}

// Nothing comes from elsewhere, and nothing is written into the page that its policy forbids; each file that is named is there.
func TestNothingFromOutside(t *testing.T) {
	walk(t, func(n *html.Node) {
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
				t.Errorf("a %s has the attribute %s", n.Data, a.Key)
			}
			if a.Key == "src" || a.Key == "href" && n.Data == "link" {
				if name, ok := strings.CutPrefix(a.Val, "/page/"); !ok {
					t.Errorf("%s loads %s", n.Data, a.Val)
				} else if _, err := fs.Stat(embedded, "page/"+name); err != nil {
					t.Errorf("%s loads %s: %v", n.Data, a.Val, err)
				}
			}
		}
		if n.Data == "style" || n.Data == "script" && n.FirstChild != nil {
			t.Errorf("a %s within the page", n.Data)
		}
	})
	names, err := fs.Glob(embedded, "page/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text := file(t, strings.TrimPrefix(name, "page/"))
		for _, m := range regexp.MustCompile(`https?://[^\s'"]+`).FindAllString(text, -1) {
			if m != "http://www.w3.org/2000/svg" {
				t.Errorf("%s names %s", name, m)
			}
		}
		if strings.Contains(text, "innerHTML") || strings.Contains(text, "insertAdjacentHTML") || strings.Contains(text, "document.write") {
			t.Errorf("%s makes HTML of texts, which may be a peer's", name)
		}
		for _, m := range regexp.MustCompile(`from '(\./[^']+)'`).FindAllStringSubmatch(text, -1) {
			if !slices.Contains(names, "page/"+strings.TrimPrefix(m[1], "./")) {
				t.Errorf("%s imports %s, which is not there", name, m[1])
			}
		}
	}
}

// Every element that the scripts look for by its id is in the page.
func TestScriptsFindTheirPlaces(t *testing.T) {
	page := file(t, "index.html")
	names, _ := fs.Glob(embedded, "page/*.js")
	found := 0
	for _, name := range names {
		text := file(t, strings.TrimPrefix(name, "page/"))
		for _, m := range regexp.MustCompile(`(?:\$|getElementById)\('([a-z-]+)'\)`).FindAllStringSubmatch(text, -1) {
			if found++; !strings.Contains(page, `id="`+m[1]+`"`) {
				t.Errorf("%s looks for %s, which is not in the page", name, m[1])
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d places are looked for: is the pattern still right?", found)
	}
}

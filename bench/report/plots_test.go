package report

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every group of plots becomes a file that stands alone.
func TestSavePlots(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plots")
	names, err := SavePlots(dir, full())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"goodput.svg", "latency-a-request-beside-a-download.svg", "failover-near.svg"} {
		if !slices.Contains(names, filepath.Join(dir, want)) {
			t.Errorf("no %s among %q", want, names)
		}
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		checkXML(t, name, string(text))
		for _, want := range []string{`xmlns="http://www.w3.org/2000/svg"`, "prefers-color-scheme:dark", "--card"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s has no %s", name, want)
			}
		}
		if strings.Contains(string(text), "<script") || strings.Contains(string(text), "url(") {
			t.Errorf("%s runs or loads something", name)
		}
	}
}

func checkXML(t *testing.T, name, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// A title may be a stranger's.
func TestPlotNames(t *testing.T) {
	for title, want := range map[string]string{"": "failover.svg", "wifi-lte": "failover-wifi-lte.svg", "../../x<y>": "failover-------x-y.svg", "Ünë": "failover--n.svg"} {
		if got := plotName(section{ID: "failover"}, group{Title: title}); got != want {
			t.Errorf("plotName(%q) = %q, want %q", title, got, want)
		}
	}
	r := full()
	r.Scenes[0].Title, r.Ways[1].Title = "</style><script>", "<b>"
	r.Scenes[0].Name = "</svg><script>"
	summarize(r)
	dir := t.TempDir()
	names, err := SavePlots(dir, r)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, _ := os.ReadFile(name)
		checkXML(t, name, string(text))
		if strings.Contains(string(text), "<script") {
			t.Errorf("%s has a script", name)
		}
	}
}

func TestTones(t *testing.T) {
	ours := []string{"mptcp", "mptcp+minrtt", "mptcp+blest", "mptcp+roundrobin", "mptcp+redundant", "tcp"}
	if got, want := tonesOf(ours), []int{0, 1, 2, 3, 5, 4}; !slices.Equal(got, want) {
		t.Errorf("tonesOf(%q) = %v, want %v", ours, got, want)
	}
	many := slices.Repeat([]string{"x"}, 20)
	for i, tone := range tonesOf(many) {
		if tone != i%len(wayTones) {
			t.Errorf("transport %d of many has tone %d", i, tone)
		}
	}
}

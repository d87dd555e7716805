package metrics

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func number(v float64) *float64 { return &v }

// client and egress are snapshots in which everything is there.
func client() Snapshot {
	return Snapshot{
		Role: "client", Version: "1.2", State: "up", Transport: "mptcp", Ready: true, Streams: 3,
		Egresses: []Egress{{Name: "main", Streams: 1}, {Name: "spare", Up: true, InUse: true, RTT: 20 * time.Millisecond, Streams: 2}}, EgressChanges: 1,
		Paths: []Path{
			{Name: "cable", State: "up", Role: "primary", RTT: 30 * time.Millisecond, MinRTT: 20 * time.Millisecond, Loss: number(0.01), Share: 0.75, Sent: 10, Received: 20, Cap: &Cap{100, 30}},
			{Name: "phone", State: "standby", Role: "backup"},
		},
		Conns:     Conns{Open: 2, Opened: 5, Up: 7, Down: 8, Failed: map[string]uint64{"refused": 1}, Odd: 6},
		UDP:       UDP{Associations: 1, Up: 2, Down: 3, Dropped: map[string]uint64{"early": 4}},
		Datagrams: map[string]uint64{"sent": 9},
	}
}

func egress() Snapshot {
	return Snapshot{
		Role: "egress", Version: "1.2", State: "listening", Ready: true,
		Clients:  []Client{{Name: "laptop", Subflows: 2, Conns: Conns{Open: 1, Opened: 2, Up: 3, Down: 4, Failed: map[string]uint64{"timed-out": 5}}}},
		Conns:    Conns{Open: 1, Opened: 2, Up: 3, Down: 4, Failed: map[string]uint64{"timed-out": 5}},
		Links:    map[string]int{"mptcp": 1},
		Accepted: 6, Refused: map[string]uint64{"too many handshakes": 7},
		UDP: UDP{Dropped: map[string]uint64{"denied": 1}}, Datagrams: map[string]uint64{"stale": 1},
	}
}

// scrape asks a handler as Prometheus does.
func scrape(t *testing.T, s Snapshot, accept string) string {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	New(func() Snapshot { return s }, slog.New(slog.DiscardHandler)).ServeHTTP(w, r)
	text, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("scrape: %d, %v: %s", w.Code, err, text)
	}
	return string(text)
}

const openMetrics = "application/openmetrics-text; version=1.0.0"

// What Prometheus' own rules have against names, types and helps.
func TestLint(t *testing.T) {
	for name, s := range map[string]Snapshot{"client": client(), "egress": egress(), "empty": {}} {
		problems, err := testutil.GatherAndLint(registry(func() Snapshot { return s }))
		if err != nil || len(problems) > 0 {
			t.Errorf("%s: %v, %v", name, problems, err)
		}
		text := scrape(t, s, "text/plain")
		if problems, err := promlint.New(strings.NewReader(text)).Lint(); err != nil || len(problems) > 0 {
			t.Errorf("%s as text: %v, %v", name, problems, err)
		}
	}
}

func TestOpenMetrics(t *testing.T) {
	text := scrape(t, client(), openMetrics)
	if !strings.HasSuffix(text, "\n# EOF\n") {
		t.Errorf("ends with %q, want the end mark of OpenMetrics", text[max(len(text)-40, 0):])
	}
	for _, want := range []string{
		"# TYPE mpsocks_path_bytes counter\n", // the family of a counter has no _total
		`mpsocks_upstream_in_use{egress="spare"} 1.0`, `mpsocks_upstream_up{egress="main"} 0.0`, `mpsocks_upstream_changes_total 1.0`,
		`mpsocks_path_bytes_total{direction="received",path="cable"} 20.0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the answer", want)
		}
	}
}

func TestValues(t *testing.T) {
	for _, tc := range []struct {
		s     Snapshot
		wants []string
		not   []string
	}{
		{client(), []string{
			`mpsocks_session_up{transport="mptcp"} 1`,
			`mpsocks_path_state{path="phone",state="standby"} 1`,
			`mpsocks_path_state{path="phone",state="up"} 0`,
			`mpsocks_path_role{path="cable",role="primary"} 1`,
			`mpsocks_path_rtt_seconds{path="cable"} 0.03`,
			`mpsocks_path_loss_ratio{path="cable"} 0.01`,
			`mpsocks_path_cap_used_bytes{path="cable"} 30`,
			`mpsocks_connection_failures_total{reason="refused"} 1`,
			`mpsocks_udp_dropped_total{reason="early"} 4`,
			`mpsocks_build_info{role="client",version="1.2"} 1`,
		}, []string{`mpsocks_path_rtt_seconds{path="phone"}`, `mpsocks_path_loss_ratio{path="phone"}`, "mpsocks_egress_", "mpsocks_client_"}},
		{egress(), []string{
			`mpsocks_client_bytes_total{client="laptop",direction="down"} 4`,
			`mpsocks_client_failures_total{client="laptop",reason="timed-out"} 5`,
			`mpsocks_egress_refused_total{reason="too_many_handshakes"} 7`,
			`mpsocks_egress_links{transport="mptcp"} 1`,
			`mpsocks_egress_listening 1`,
		}, []string{"mpsocks_path_", "mpsocks_session_up"}},
	} {
		text := scrape(t, tc.s, "text/plain")
		for _, w := range tc.wants {
			if !strings.Contains(text, "\n"+w+"\n") {
				t.Errorf("%s: no line %s", tc.s.Role, w)
			}
		}
		for _, n := range tc.not {
			if strings.Contains(text, n) {
				t.Errorf("%s: there is %s", tc.s.Role, n)
			}
		}
	}
}

// However many names there are, and twice the same, a scrape succeeds and is bounded.
func TestBounded(t *testing.T) {
	c, e := client(), egress()
	c.Conns.Failed = make(map[string]uint64)
	for i := range 5000 {
		c.Paths = append(c.Paths, Path{Name: fmt.Sprint("p", i%4000)})
		e.Clients = append(e.Clients, Client{Name: fmt.Sprint("c", i%4000)})
		c.Conns.Failed[fmt.Sprint("why ", i)] = 1
	}
	text := scrape(t, c, "text/plain")
	if n := strings.Count(text, "\nmpsocks_path_share_ratio{"); n != MaxPaths {
		t.Errorf("%d paths, want %d", n, MaxPaths)
	}
	if n := strings.Count(text, "\nmpsocks_connection_failures_total{"); n != maxWords {
		t.Errorf("%d reasons, want %d", n, maxWords)
	}
	if want := fmt.Sprintf("\nmpsocks_series_left_out %d\n", 5002-MaxPaths+5000-maxWords); !strings.Contains(text, want) {
		t.Errorf("no %q", want)
	}
	if n := strings.Count(scrape(t, e, "text/plain"), "\nmpsocks_client_subflows{"); n != MaxClients {
		t.Errorf("%d clients, want %d", n, MaxClients)
	}
}

// Every name has a value in one of the snapshots: none is defined and forgotten.
func TestEveryNameIsUsed(t *testing.T) {
	text := scrape(t, client(), "text/plain") + scrape(t, egress(), "text/plain")
	for _, m := range all {
		if !strings.Contains(text, "\n"+m.name+"{") && !strings.Contains(text, "\n"+m.name+" ") {
			t.Errorf("%s has no value", m.name)
		}
	}
}

// The dashboard asks only for what there is, by labels that are there, and each of its panels asks for something.
func TestDashboard(t *testing.T) {
	raw, err := os.ReadFile("../../docs/grafana/mpsocks.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Type, Title string
			Targets     []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	labels := labelsOf(scrape(t, client(), "text/plain") + scrape(t, egress(), "text/plain"))
	asked := make(map[string]bool)
	for _, p := range d.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			found := selector.FindAllStringSubmatch(target.Expr, -1)
			if len(found) == 0 {
				t.Errorf("panel %q: no metric in %q", p.Title, target.Expr)
			}
			for _, m := range found {
				asked[m[1]] = true
				if labels[m[1]] == nil {
					t.Errorf("panel %q asks for %s, which there is not", p.Title, m[1])
				}
				for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
					if known := labels[m[1]]; l[1] != "instance" && l[1] != "job" && !slices.Contains(known, l[1]) {
						t.Errorf("panel %q asks for %s by %s, which has only %v", p.Title, m[1], l[1], known)
					}
				}
			}
		}
	}
	if len(asked) < 20 {
		t.Errorf("the dashboard shows only %v", slices.Sorted(maps.Keys(asked)))
	}
}

var (
	selector  = regexp.MustCompile(`\b((?:mpsocks|process|go)_[a-z_]+)\{([^}]*)\}`)
	labelName = regexp.MustCompile(`([a-z_]+)(?:=~|!=|!~|=)"`)
	sample    = regexp.MustCompile(`(?m)^([a-z_]+)(?:\{(.*)\})? `)
)

// labelsOf are the labels that each metric of a scrape has.
func labelsOf(text string) map[string][]string {
	all := make(map[string][]string)
	for _, m := range sample.FindAllStringSubmatch(text, -1) {
		names := []string{}
		for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
			names = append(names, l[1])
		}
		all[m[1]] = names
	}
	return all
}

func TestLabelsOf(t *testing.T) {
	got := labelsOf("# HELP a b\na{x=\"1\",y=\"2\"} 1\nb 2\n")
	if want := map[string][]string{"a": {"x", "y"}, "b": {}}; !reflect.DeepEqual(got, want) {
		t.Errorf("labelsOf = %v, want %v", got, want)
	}
}

// The table in the documentation has every metric with its labels and its meaning.
func TestDocumented(t *testing.T) {
	raw, err := os.ReadFile("../../docs/status.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		text := m.desc.String() // Desc{fqName: "...", help: "...", ..., variableLabels: {a,b}}
		help, _, _ := strings.Cut(strings.SplitN(text, `help: "`, 2)[1], `"`)
		labels := ""
		if list := strings.Trim(strings.SplitN(text, "variableLabels: ", 2)[1], "{}"); list != "" {
			labels = "`" + strings.ReplaceAll(list, ",", "`, `") + "`"
		}
		if row := fmt.Sprintf("| `%s` | %s | %s |\n", m.name, labels, strings.TrimSuffix(help, ".")); !strings.Contains(string(raw), row) {
			t.Errorf("docs/status.md lacks\n%s", row)
		}
	}
}

package bench

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTraceName(t *testing.T) {
	none := &Runner{}
	if name, err := none.traceName(turn{}); name != "" || err != nil {
		t.Errorf("without traces: %q, %v", name, err)
	}
	dir := t.TempDir()
	r := &Runner{Trace: dir}
	tn := turn{scenario: &Scenario{Name: "wifi-lte"}, label: "tcp on ../a b", rep: 2}
	name, err := r.traceName(tn)
	if want := "trace/wifi-lte-tcp_on_.._a_b-2"; name != want || err != nil {
		t.Fatalf("name %q, %v, want %q", name, err, want)
	}
	old := filepath.Join(dir, name) + TraceEgress + ".1"
	if err := os.WriteFile(old, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.traceName(tn); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("a part of an old trace is left")
	}
	st := &stand{session: &session{r: r}, trace: name}
	if got := st.recorded(); got != "" {
		t.Errorf("recorded %q, though nothing is", got)
	}
	if err := os.WriteFile(filepath.Join(dir, name)+TraceClient, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := st.recorded(); got != name {
		t.Errorf("recorded %q, want %q", got, name)
	}
}

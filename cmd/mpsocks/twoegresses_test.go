package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/doctor"
)

// twoEgresses starts egresses that know nothing of each other, and writes the file of a client that
// has both of them, as home and spare. settings are added to the files of the egresses, in that order.
func twoEgresses(t *testing.T, settings ...string) (client string, home, spare *daemon) {
	t.Helper()
	client, first := testFiles(t)
	other, second := testFiles(t)
	for i, s := range settings {
		edit(t, []string{first, second}[i], "# ", s+"# ")
	}
	home, spare = launch(t, "egress", "-c", first), launch(t, "egress", "-c", second)
	at := func(d *daemon) string { return words(d.err.line(t, " ready "))["listen"] }
	cfg, err := configs.LoadClient(other)
	if err != nil {
		t.Fatal(err)
	}
	edit(t, client, "127.0.0.1:1\"", at(home)+"\"")
	edit(t, client, ", egress: [\"localhost:1\"]", "")
	edit(t, client, "egress:\n", fmt.Sprintf("egress:\n  name: home\n  others: [{name: spare, address: [%q], key: %s, identity: %s}]\n",
		at(spare), cfg.Egress.Key, cfg.Identity))
	return client, home, spare
}

// doctor looks at the paths to all egresses, and names the one that it finds something about.
func TestDoctorOfSeveralEgresses(t *testing.T) {
	client, _, spare := twoEgresses(t)
	report := func() *doctor.Report {
		t.Helper()
		r := &doctor.Report{}
		got := mpsocks(t, "", "doctor", "-c", client, "--json")
		if err := json.Unmarshal([]byte(got.out), r); err != nil {
			t.Fatalf("doctor: %v: %+v", err, got)
		}
		return r
	}
	hello := 0
	for _, f := range report().Findings {
		if f.Check == "hello" && f.Level == doctor.OK {
			hello++
		}
		if strings.HasPrefix(f.Subject, "path ") && f.Level == doctor.Fail {
			t.Errorf("with both there: %+v", f)
		}
	}
	if hello != 4 {
		t.Errorf("%d paths are welcome, want two to each egress", hello)
	}
	spare.stop()
	var found []string
	for _, f := range report().Findings {
		if f.Level == doctor.Fail && f.Check == "tcp" {
			found = append(found, f.Subject)
		}
	}
	slices.Sort(found)
	if want := []string{"path one to spare", "path two to spare"}; !slices.Equal(found, want) {
		t.Errorf("with one gone: tcp fails for %q, want %q", found, want)
	}
}

package bench

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestSaveAndLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	r := fullResults(t)
	for range 2 { // the second replaces the first
		if err := r.Save(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{dir, filepath.Join(dir, ResultsFile)} {
		got, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, r) {
			t.Errorf("Load(%s) = %+v, want %+v", name, got, r)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("folder has %v, %v; want two files", entries, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{`{"schema": "mpsocks-bench/0"}`: "layout", `[]`: "not results", ``: "not results"} {
		file := filepath.Join(dir, "x.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load of %q = %v, want %q", text, err, want)
		}
	}
	if _, err := Load(dir); !os.IsNotExist(err) {
		t.Errorf("Load of an empty folder = %v", err)
	}
}

func TestWriteBenchfmt(t *testing.T) {
	var b strings.Builder
	if err := fullResults(t).WriteBenchfmt(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Unit Mbit/s better=higher\n",
		"BenchmarkLine/scenario=s/transport=mptcp/download/goodput 1 28 Mbit/s\n",
		"BenchmarkLine/scenario=s/transport=tcp:on:a/download/client_cpu 1 2 s/GB\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "failover") {
		t.Error("disturbed runs are in the text for benchstat")
	}
}

func TestWriteTable(t *testing.T) {
	r := fullResults(t)
	r.Complete = false
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"s: t\n", "best path 19.0 Mbit/s, sum 29.0 Mbit/s down (each path measured alone)", "steady goodput, Mbit/s", "28.0", "~>6000", "0.90",
		"mptcp: fine", "2 of 10 runs were disturbed", "2 of 10 runs failed", "no figure: s, tcp on a, failover, repetition 1: broke",
		"stopped before", "a note",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
}

func TestCell(t *testing.T) {
	for _, tc := range []struct {
		s    Summary
		want string
	}{
		{Summary{Median: 123.4, N: 1}, "123"},
		{Summary{Median: 12.34, Low: 12, High: 13, N: 3}, "12.3 ±0.50"},
		{Summary{Median: 1.234, Low: 1.234, High: 1.234, N: 3}, "1.23"},
		{Summary{Median: 6000, N: 1, Censored: true, Disturbed: true}, "~>6000"},
		{Summary{Median: 0, N: 1}, "0"},
		{Summary{Median: 0.01234, N: 1}, "0.0123"},
	} {
		if got := tc.s.Cell(); got != tc.want {
			t.Errorf("Cell of %+v = %q, want %q", tc.s, got, tc.want)
		}
	}
}

func TestCommitOf(t *testing.T) {
	for _, tc := range []struct {
		version, commit string
		modified        bool
	}{
		{"v1.2-3-gabcdef0", "abcdef0", false},
		{"v1.2-3-gabcdef0-dirty", "abcdef0", true},
		{"abcdef0-dirty", "abcdef0", true},
		{"v1.2", "", false},
		{"(devel)", "", false},
	} {
		if c, m := commitOf(tc.version); c != tc.commit || m != tc.modified {
			t.Errorf("commitOf(%s) = %q, %v", tc.version, c, m)
		}
	}
}

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mpsocks/mpsocks/bench"
	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/mptcp"
	"github.com/mpsocks/mpsocks/upstream"
)

func TestBenchList(t *testing.T) {
	got := mpsocks(t, "", "bench", "lab", "--list")
	if got.code != exitOK {
		t.Fatalf("bench lab --list = %+v", got)
	}
	for _, want := range []string{"equal", "low-rate", "mptcp", "tcp", "download", "failover"} {
		if !strings.Contains(got.out, "  "+want+" ") {
			t.Errorf("no %s in:\n%s", want, got.out)
		}
	}
}

func TestBenchUsage(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"lab --scenario dance", "dance"},
		{"lab --scenario quick,equal", "quick"},
		{"lab --transport pigeon", "pigeon"},
		{"lab --workload dance", "dance"},
		{"lab --runs 0", "--runs"},
		{"lab now", "now"},
		{"loopback --transport pigeon", "pigeon"},
		{"loopback --workload dance", "dance"},
		{"loopback --runs 0", "--runs"},
		{"loopback now", "now"},
		{"compare one", "arg"},
		{"report", "usage: mpsocks bench report DIR"},
	} {
		got := mpsocks(t, "", append([]string{"bench"}, strings.Fields(tc.args)...)...)
		if got.code != exitUsage || !strings.Contains(got.err, tc.want) {
			t.Errorf("bench %s = %+v, want code 2 and %q", tc.args, got, tc.want)
		}
	}
}

// benchResults writes results of a download with the given goodputs.
func benchResults(t *testing.T, goodput ...float64) (dir string) {
	t.Helper()
	res := &bench.Results{
		Schema: bench.Schema, Complete: true, Scenes: []bench.Scene{{Name: "s", Title: "two lines"}}, Ways: []bench.Way{{Name: "mptcp"}},
		Works: []bench.Work{{Name: "download", Metrics: bench.Workloads()[0].Metrics}},
	}
	for i, v := range goodput {
		res.Runs = append(res.Runs, bench.Run{
			Scenario: "s", Transport: "mptcp", Workload: "download", Rep: i + 1, Attempt: 1, Metrics: map[string]float64{"goodput": v},
		})
	}
	res.Summarize()
	dir = filepath.Join(t.TempDir(), "results")
	if err := res.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestBenchCompare(t *testing.T) {
	slow, fast := benchResults(t, 10, 11, 12, 13), benchResults(t, 20, 21, 22, 23)
	for _, tc := range []struct {
		a, b string
		code int
		want string
	}{
		{slow, fast, exitOK, "1 better, 0 worse"},
		{fast, slow, exitFailure, "0 better, 1 worse"},
		{slow, filepath.Join(slow, bench.ResultsFile), exitOK, "1 the same"},
	} {
		if got := mpsocks(t, "", "bench", "compare", tc.a, tc.b); got.code != tc.code || !strings.Contains(got.out, tc.want) {
			t.Errorf("compare %s %s = %+v, want code %d and %q", tc.a, tc.b, got, tc.code, tc.want)
		}
	}
	if got := mpsocks(t, "", "bench", "compare", slow, t.TempDir()); got.code != exitFailure {
		t.Errorf("compare with an empty folder = %+v", got)
	}
}

// report makes the page, be it told the folder or the file in it.
func TestBenchReport(t *testing.T) {
	for _, file := range []string{"", bench.ResultsFile} {
		dir := benchResults(t, 10, 11)
		got := mpsocks(t, "", "bench", "report", filepath.Join(dir, file))
		page := filepath.Join(dir, bench.ReportFile)
		if got.code != exitOK || !strings.Contains(got.out, "two lines") || got.err != "Wrote "+page+".\n" {
			t.Errorf("report = %+v", got)
		}
		checkPage(t, dir, "two lines")
	}
	if got := mpsocks(t, "", "bench", "report", t.TempDir()); got.code != exitFailure {
		t.Errorf("report of an empty folder = %+v", got)
	}
}

// checkPage holds that a run has left a page, and that it says something.
func checkPage(t *testing.T, dir, want string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(dir, bench.ReportFile))
	if err != nil || !strings.Contains(string(page), want) || !strings.HasSuffix(string(page), "</html>\n") {
		t.Errorf("%s of %d bytes without %q or its end, %v", bench.ReportFile, len(page), want, err)
	}
}

func TestTransportKnown(t *testing.T) {
	for name, want := range map[string]bool{"mptcp": true, "tcp": true, "pigeon": false} {
		if got := transportKnown(name); got != want {
			t.Errorf("transportKnown(%s) = %v", name, got)
		}
	}
}

func TestChooseTransports(t *testing.T) {
	all := benchTransports("self")
	for _, tc := range []struct {
		asked []string
		want  string // the names; empty: an error
	}{
		{nil, "mptcp kernel quic quic-multi tcp"},
		{[]string{"tcp", "mptcp"}, "tcp mptcp"},
		{[]string{"mptcp", "mptcp+minrtt", "mptcp+redundant"}, "mptcp mptcp+minrtt mptcp+redundant"},
		{[]string{"mptcp+ect"}, ""}, // that is mptcp
		{[]string{"quic+blest"}, ""},
	} {
		chosen, err := chooseTransports(all, tc.asked)
		var names []string
		for _, c := range chosen {
			names = append(names, c.Name)
		}
		if got := strings.Join(names, " "); got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("chooseTransports(%q) = %q, %v, want %q", tc.asked, got, err, tc.want)
		}
	}
}

// The policy behind the plus is in force on both sides.
func TestBenchPolicies(t *testing.T) {
	for transport, want := range map[string]string{"mptcp": "ect", "mptcp+blest": "blest", "tcp": "ect"} {
		clientText, egressText := benchConfigs(transport, "  - {name: one, source: 10.0.0.1}\n", upstream.PublicKey{1}, upstream.PublicKey{2})
		c, err := configs.ParseClient("client.yaml", []byte(clientText))
		if err != nil || c.Session.Scheduler != want || c.Transport != strings.TrimSuffix(transport, "+"+want) {
			t.Errorf("%s: client's file = %+v, %v", transport, c, err)
		}
		e, err := configs.ParseEgress("egress.yaml", []byte(egressText))
		if err != nil || e.Session.Scheduler != want {
			t.Errorf("%s: egress's file = %+v, %v", transport, e, err)
		}
	}
}

// What the file takes for session.establish is what a session knows, the default first.
func TestEstablishments(t *testing.T) {
	if got, want := configs.Establishments, mptcp.Establishments(); !slices.Equal(got, want) {
		t.Errorf("session.establish takes %q, a session knows %q", got, want)
	}
}

// What the configuration takes is what there is.
func TestSchedulers(t *testing.T) {
	if got, want := configs.Schedulers, mptcp.Schedulers(); !slices.Equal(got, want) {
		t.Errorf("session.scheduler takes %q, there are %q", got, want)
	}
	for _, name := range configs.Schedulers {
		if c := sessionConfig(configs.Session{Scheduler: name}, configs.UDP{}, 0); c.Scheduler != name {
			t.Errorf("session.scheduler %s became %q", name, c.Scheduler)
		}
	}
}

func TestMPTCPCounts(t *testing.T) {
	const netstat = "TcpExt: A B\nTcpExt: 1 2\nMPTcpExt: MPCapableSYNTX MPCapableFallbackACK MPCapableFallbackSYNACK MPJoinSynAckRx\nMPTcpExt: %\n"
	read := func(values string) mptcpCounts { return parseMPTCP(strings.ReplaceAll(netstat, "%", values)) }
	for _, tc := range []struct {
		before, after, want string
	}{
		{"1 0 0 1", "11 0 0 11", "about 2 subflows"},
		{"1 0 0 1", "11 2 3 11", "5 of 10 connections fell back"},
		{"1 0 0 1", "1 0 0 1", "plain TCP"},
	} {
		if got := read(tc.after).since(read(tc.before)); !strings.Contains(got, tc.want) {
			t.Errorf("from %s to %s: %q, want %q", tc.before, tc.after, got, tc.want)
		}
	}
	if got := parseMPTCP("TcpExt: A\nTcpExt: 1\n").since(mptcpCounts{}); !strings.Contains(got, "no MPTCP") {
		t.Errorf("without MPTCP: %q", got)
	}
}

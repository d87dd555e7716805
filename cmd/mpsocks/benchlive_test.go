package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/mpsocks/mpsocks/bench"
	"github.com/mpsocks/mpsocks/configs"
)

// liveConfig is a client's file with every setting that a measurement keeps.
const liveConfig = `
socks: {listen: "0.0.0.0:1080", users: {alice: secret}}
egress: {address: ["e.example:8443", "[2001:db8::1]:8443"], key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8}
identity: client.key
memory: 64MiB
session: {congestion: bbr, scheduler: blest}
paths:
  - {name: cable, interface: eth0}
  - {name: phone, source: 192.0.2.7, egress: ["192.0.2.1:8443"], role: backup}
`

func liveWayOf(t *testing.T, text string) *liveWay {
	t.Helper()
	cfg, err := configs.ParseClient("/etc/mpsocks/client.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return newLiveLines(cfg, "").ways[0]
}

// What is measured is the user's client but for the transport and the ports.
func TestLiveConfig(t *testing.T) {
	w := liveWayOf(t, liveConfig)
	got, err := configs.ParseClient("x", []byte(w.text("quic", []int{1, 0})))
	if err != nil {
		t.Fatal(err)
	}
	if got.Transport != "quic" || got.Identity != "/etc/mpsocks/client.key" || got.Memory != 64<<20 || got.Session.Congestion != "bbr" || got.Session.Scheduler != "blest" {
		t.Errorf("file = %+v", got)
	}
	if got.Egress.Key != w.cfg.Egress.Key || !slices.Equal(got.Egress.Address, w.cfg.Egress.Address) {
		t.Errorf("egress = %+v", got.Egress)
	}
	if got.Socks.Users != nil || got.Socks.Listen[0] != "127.0.0.1:0" || got.Admin.Listen != "127.0.0.1:0" {
		t.Errorf("ports = %+v, %+v", got.Socks, got.Admin)
	}
	if len(got.Paths) != 2 || got.Paths[0].Name != "phone" || got.Paths[0].Role != "backup" || got.Paths[1].Interface != "eth0" {
		t.Errorf("paths = %+v", got.Paths)
	}
	if got, err = configs.ParseClient("x", []byte(w.text("tcp", []int{0}))); err != nil || len(got.Paths) != 1 || got.Paths[0].Name != "cable" {
		t.Errorf("one path: %+v, %v", got, err)
	}
	w.paths = nil
	if got, err = configs.ParseClient("x", []byte(w.text("tcp", nil))); err != nil || got.Paths != nil {
		t.Errorf("paths: auto became %+v, %v", got, err)
	}
}

// The scenario is the paths that are up, the nearest first.
func TestLiveScenario(t *testing.T) {
	w := liveWayOf(t, strings.Split(liveConfig, "paths:")[0])
	ms := func(v float64) *float64 { return &v }
	s, err := w.scenario([]pathView{
		{Name: "far", State: "up", Local: "192.0.2.7:4000", Role: "primary", RTT: ms(80)},
		{Name: "gone", State: "down", Local: "192.0.2.8:4000"},
		{Name: "near", State: "up", Local: "[2001:db8::7]:4000", Role: "secondary", RTT: ms(20)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.Title != "far + near" || !slices.Equal(s.Order, []int{1, 0}) || s.Cut != -1 || len(s.Specs) != 2 {
		t.Errorf("scenario = %+v", s)
	}
	if p := w.paths[1]; p.Name != "near" || p.Source != netip.MustParseAddr("2001:db8::7") || p.Role != "secondary" {
		t.Errorf("path = %+v", p)
	}
	if _, err := configs.ParseClient("x", []byte(w.text("mptcp", s.Order))); err != nil {
		t.Error(err)
	}
	if _, err := w.scenario(nil); err == nil {
		t.Error("no path, but a scenario")
	}
	if _, err := w.scenario([]pathView{{Name: "odd", State: "up", Local: "?"}}); err == nil {
		t.Error("a path without an address, but a scenario")
	}
}

// Each of several egresses is measured by itself, as its own scenario.
func TestLiveSeveralEgresses(t *testing.T) {
	cfg, err := configs.ParseClient("/etc/mpsocks/client.yaml", []byte(`
egress:
  - {name: home, address: ["e.example:8443"], key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8, instances: [203.0.113.0/28, "2001:db8::/64"]}
  - {address: ["f.example:8443"], key: ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8, identity: other.key}
identity: client.key
`))
	if err != nil {
		t.Fatal(err)
	}
	l := newLiveLines(cfg, "")
	if len(l.ways) != 2 || l.way(&bench.Scenario{Name: "live home"}) != l.ways[0] || l.way(&bench.Scenario{Name: "live f.example:8443"}) != l.ways[1] {
		t.Fatalf("ways = %+v", l.ways)
	}
	for i, want := range []struct{ address, identity string }{{"e.example:8443", "/etc/mpsocks/client.key"}, {"f.example:8443", "/etc/mpsocks/other.key"}} {
		got, err := configs.ParseClient("x", []byte(l.ways[i].text("mptcp", nil)))
		if err != nil {
			t.Fatal(err)
		}
		if e := got.Egress; len(e.Others) != 0 || e.Address[0] != want.address || e.Key != l.ways[i].egress.Key || got.Identity != want.identity {
			t.Errorf("egress %d: %+v by %s", i, e, got.Identity)
		}
		if n := len(got.Egress.Instances); n != 2*(1-i) {
			t.Errorf("egress %d has %d networks of instances", i, n)
		}
	}
	rtt := 5.0
	s, err := l.ways[1].scenario([]pathView{{Name: "cable", State: "up", Local: "192.0.2.7:4000", Role: "primary", RTT: &rtt}})
	if err != nil || s.Title != "cable to f.example:8443" || s.Name != "live f.example:8443" {
		t.Errorf("scenario = %+v, %v", s, err)
	}
}

// An egress that is known by what two paths have shown has no key in the file.
func TestLiveSecondPath(t *testing.T) {
	cfg, err := configs.ParseClient("/etc/mpsocks/client.yaml", []byte("egress: {address: [\"e.example:8443\"], verify: second-path}\nidentity: client.key\n"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := configs.ParseClient("x", []byte(newLiveLines(cfg, "").ways[0].text("mptcp", nil)))
	if err != nil || got.Egress.Verify != configs.VerifySecondPath || got.Egress.Pin != cfg.Egress.Pin {
		t.Errorf("egress = %+v, %v; want that of %+v", got, err, cfg.Egress)
	}
}

func TestBenchLiveUsage(t *testing.T) {
	if got := mpsocks(t, "", "bench", "live"); got.code != exitUsage || !strings.Contains(got.err, "--config") {
		t.Errorf("bench live = %+v", got)
	}
	file := write(t, t.TempDir(), "client.yaml", "transport: pigeon\n")
	if got := mpsocks(t, "", "bench", "live", "-c", file); got.code != exitUsage || !strings.Contains(got.err, "pigeon") {
		t.Errorf("bench live with a wrong file = %+v", got)
	}
}

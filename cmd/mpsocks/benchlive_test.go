package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

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

func liveLinesOf(t *testing.T, text string) *liveLines {
	t.Helper()
	cfg, err := configs.ParseClient("/etc/mpsocks/client.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return &liveLines{cfg: cfg, paths: cfg.Paths}
}

// What is measured is the user's client but for the transport and the ports.
func TestLiveConfig(t *testing.T) {
	l := liveLinesOf(t, liveConfig)
	got, err := configs.ParseClient("x", []byte(l.text("quic", []int{1, 0})))
	if err != nil {
		t.Fatal(err)
	}
	if got.Transport != "quic" || got.Identity != "/etc/mpsocks/client.key" || got.Memory != 64<<20 || got.Session.Congestion != "bbr" || got.Session.Scheduler != "blest" {
		t.Errorf("file = %+v", got)
	}
	if got.Egress.Key != l.cfg.Egress.Key || !slices.Equal(got.Egress.Address, l.cfg.Egress.Address) {
		t.Errorf("egress = %+v", got.Egress)
	}
	if got.Socks.Users != nil || got.Socks.Listen[0] != "127.0.0.1:0" || got.Admin.Listen != "127.0.0.1:0" {
		t.Errorf("ports = %+v, %+v", got.Socks, got.Admin)
	}
	if len(got.Paths) != 2 || got.Paths[0].Name != "phone" || got.Paths[0].Role != "backup" || got.Paths[1].Interface != "eth0" {
		t.Errorf("paths = %+v", got.Paths)
	}
	if got, err = configs.ParseClient("x", []byte(l.text("tcp", []int{0}))); err != nil || len(got.Paths) != 1 || got.Paths[0].Name != "cable" {
		t.Errorf("one path: %+v, %v", got, err)
	}
	l.paths = nil
	if got, err = configs.ParseClient("x", []byte(l.text("tcp", nil))); err != nil || got.Paths != nil {
		t.Errorf("paths: auto became %+v, %v", got, err)
	}
}

// The scenario is the paths that are up, the nearest first.
func TestLiveScenario(t *testing.T) {
	l := liveLinesOf(t, strings.Split(liveConfig, "paths:")[0])
	ms := func(v float64) *float64 { return &v }
	s, err := l.scenario([]pathView{
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
	if p := l.paths[1]; p.Name != "near" || p.Source != netip.MustParseAddr("2001:db8::7") || p.Role != "secondary" {
		t.Errorf("path = %+v", p)
	}
	if _, err := configs.ParseClient("x", []byte(l.text("mptcp", s.Order))); err != nil {
		t.Error(err)
	}
	if _, err := l.scenario(nil); err == nil {
		t.Error("no path, but a scenario")
	}
	if _, err := l.scenario([]pathView{{Name: "odd", State: "up", Local: "?"}}); err == nil {
		t.Error("a path without an address, but a scenario")
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

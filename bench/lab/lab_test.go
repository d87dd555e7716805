package lab

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNormalize(t *testing.T) {
	in := Config{Paths: []Path{{}, {Name: "wifi", MTU: 1400}}}
	c, err := in.normalize()
	if err != nil {
		t.Fatal(err)
	}
	if c.Paths[0].Name != "path0" || c.Paths[0].MTU != 1500 || c.Paths[1].Name != "wifi" || c.Paths[1].MTU != 1400 {
		t.Errorf("paths %+v: defaults not filled in, or over what was set", c.Paths)
	}
	if in.Paths[0].Name != "" {
		t.Errorf("the caller's paths were changed")
	}
	if !slices.Equal(c.Targets, []netip.Addr{netip.MustParseAddr("10.99.0.1")}) {
		t.Errorf("targets %v", c.Targets)
	}
	if c.Grain != defaultGrain || c.Logger == nil || c.Name == "" {
		t.Errorf("grain %v, logger %v, name %q: defaults not filled in", c.Grain, c.Logger, c.Name)
	}
	if c, _ := (Config{Paths: in.Paths, Grain: -1, IPv6: true}).normalize(); c.Grain != 0 || len(c.Targets) != 2 {
		t.Errorf("grain %v, targets %v; want 0 and two", c.Grain, c.Targets)
	}
}

func TestNormalizeErrors(t *testing.T) {
	for want, c := range map[string]Config{
		"paths: 0":       {},
		"paths: 65":      {Paths: make([]Path, 65)},
		`name "a b"`:     {Paths: []Path{{Name: "a b"}}},
		`name "lo"`:      {Paths: []Path{{Name: "lo"}}},
		`name "path1"`:   {Paths: []Path{{Name: "path1"}, {}}},
		"mtu 100":        {Paths: []Path{{MTU: 100}}},
		"loss 2":         {Paths: []Path{{Up: Link{Loss: 2}}}},
		"delay -1":       {Paths: []Path{{Down: Link{Delay: -1}}}},
		"queue bdp -1":   {Paths: []Path{{Down: Link{Queue: Queue{BDP: -1}}}}},
		"police rate -5": {Paths: []Path{{Down: Link{Police: Police{Rate: -5}}}}},
	} {
		if _, err := c.normalize(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

// TestParseCommand needs no network: it only looks at what is understood.
func TestParseCommand(t *testing.T) {
	l := &Lab{paths: []*PathControl{{index: 0, cfg: Path{Name: "path0"}}, {index: 1, cfg: Path{Name: "wifi"}}}}
	for line, want := range map[string]int{
		"": 0, "   ": 0, "stats": 2, "stats wifi": 1, "down 0": 1, "down 1 up": 1, "up all": 2, "rate 0 5M down": 1, "rtt all 80ms": 2,
		"loss wifi 1%": 1, "queue 0 2bdp": 1, "ifdown 1": 1, "ifup 1": 1, "reset all": 2, "addr 0 10.1.1.7": 1, "corrupt 0 1%": 1,
	} {
		c, err := l.parse(line)
		if err != nil || len(c.paths) != want {
			t.Errorf("%q: %d paths, %v; want %d", line, len(c.paths), err, want)
		}
	}
	for line, want := range map[string]string{
		"down": "which path", "down 2": "there is none", "down -1": "there is none", "down 0 left": "want up, down or both", "down 0 up up": "want up",
		"rate 0": "value missing", "rate 0 quick": "not a number", "rate 0 5M sideways": "want up", "loss 0 150%": "not between",
		"frob 0 1": "no such command", "stats 0 now": "too much", "addr 0 here": "parse", "delay 0 -5ms": "negative",
	} {
		if _, err := l.parse(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q in it", line, err, want)
		}
	}
}

func TestDirection(t *testing.T) {
	if s := Uplink.String() + " " + Downlink.String() + " " + BothWays.String() + " " + Direction(0).String(); s != "up down both direction(0)" {
		t.Error(s)
	}
}

// TestUnsupported: New says why it cannot work, or works.
func TestUnsupported(t *testing.T) {
	if err := Available(); err != nil {
		if _, err2 := New(Config{Paths: []Path{{}}}); !errors.Is(err, ErrUnsupported) || !errors.Is(err2, ErrUnsupported) {
			t.Errorf("Available: %v, New: %v; want %v", err, err2, ErrUnsupported)
		}
	}
}

func TestPathRTT(t *testing.T) {
	if d := (Path{Up: Link{Delay: time.Second}, Down: Link{Delay: time.Minute}}).RTT(); d != 61*time.Second {
		t.Error(d)
	}
}

package upstream

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestSetPath changes what paths are for while a client runs, and wants both ends to
// follow.
func TestSetPath(t *testing.T) {
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, nil)
	c := startClient(t, id, e, func(cfg *ClientConfig) { cfg.Paths = loopbackPaths(2) })
	state := func(name string) PathStatus {
		for _, p := range c.Status().Paths {
			if p.Name == name {
				return p
			}
		}
		t.Fatalf("no path %s", name)
		return PathStatus{}
	}
	one, two := c.cfg.Paths[0].withDefaults().Name, c.cfg.Paths[1].withDefaults().Name
	eventually(t, "both up", func() bool { return state(one).State == stateUp && state(two).State == stateUp })

	backup, on, off := RoleBackup, true, false
	if err := c.SetPath(two, PathChange{Role: &backup}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a backup at both ends", func() bool {
		if p := state(two); p.Role != RoleBackup || p.RoleReason == "" || p.State != stateUp {
			return false
		}
		for _, p := range e.Status().Paths {
			if p.Role == RoleBackup {
				return true
			}
		}
		return false
	})
	if err := c.SetPath(one, PathChange{Enabled: &off}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "one path off", func() bool {
		p := state(one)
		return p.Role == RoleNever && p.State == stateStandby && p.Reason == "switched off by hand" && len(e.Status().Paths) == 1
	})
	roundTrip(t, c, "over the backup")
	if err := c.SetPath(one, PathChange{Enabled: &on}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it comes back", func() bool {
		p := state(one)
		return p.Role == RolePrimary && p.RoleReason == "" && p.State == stateUp && len(e.Status().Paths) == 2
	})

	wrong := "king"
	if err := c.SetPath("nowhere", PathChange{Role: &backup}); !errors.Is(err, ErrNoPath) {
		t.Errorf("SetPath(nowhere) = %v, want ErrNoPath", err)
	}
	if err := c.SetPath(one, PathChange{Role: &wrong}); err == nil || errors.Is(err, ErrNoPath) {
		t.Errorf("SetPath with a wrong role = %v", err)
	}
}

func TestModes(t *testing.T) {
	paths := []PathConfig{
		{Name: "a", Role: RoleBackup}, {Name: "b", Cost: 2}, {Name: "c", Role: RoleSecondary, Cost: 1}, {Name: "d", Cost: 1}, {Name: "e", Cost: 1}, {Name: "f", Role: RoleNever},
	}
	for mode, want := range map[string]string{
		ModeAuto:      "a backup 0, b primary 2, c secondary 1, d primary 1, e primary 1, f never 0",
		ModeAggregate: "a backup 0, b primary 0, c primary 0, d primary 0, e primary 0, f never 0",
		ModeHandover:  "a backup 4, b backup 2, c backup 3, d primary 0, e backup 1, f never 5",
	} {
		ls := testLines(&machine{all: laptop()}, "192.0.2.1:1", paths...)
		ls.mode = mode
		var got []string
		for _, l := range ls.list {
			d := ls.duty(l)
			got = append(got, fmt.Sprint(l.Name, " ", d.role, " ", d.cost))
		}
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("mode %s: %s\nwant %s", mode, s, want)
		}
	}
}

//go:build !windows && !darwin

package sysproxy

import (
	"testing"
)

// With the real gsettings, on settings of the test's own.
func TestRealGSettings(t *testing.T) {
	t.Setenv("GSETTINGS_BACKEND", "keyfile")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	d := findGNOME(system{})
	if d == nil {
		t.Skip("gsettings or the schema org.gnome.system.proxy (gsettings-desktop-schemas) is not installed")
	}
	m := manage(t, d)
	before := settings(t, d)
	for _, target := range []Target{byPAC, bySOCKS} {
		if err := m.On(t.Context(), target, ByHand); err != nil {
			t.Fatal(err)
		}
		if lines, err := m.Status(t.Context()); err != nil || !lines[0].Ours {
			t.Errorf("%v: status = %+v, %v", target, lines, err)
		}
	}
	if r, err := m.Off(t.Context()); err != nil || len(r.Left) > 0 {
		t.Errorf("off = %+v, %v", r, err)
	}
	for key, v := range settings(t, d) {
		if before[key] != v {
			t.Errorf("%s is %s afterwards, was %s", key, v, before[key])
		}
	}
}

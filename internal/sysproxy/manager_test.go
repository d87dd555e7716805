package sysproxy

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A client that was killed leaves its setting behind. Whatever comes next, the setting
// of before is put back in the end, never the client's own.
func TestCrash(t *testing.T) {
	other := byPAC
	other.PAC = "http://127.0.0.1:2090/proxy.pac"
	for name, next := range map[string]func(m *Manager) error{
		"off":              func(m *Manager) error { _, err := m.Off(context.Background()); return err },
		"next start":       func(m *Manager) error { _, err := m.Recover(context.Background()); return err },
		"on again":         onOff(byPAC, ByClient),
		"on by other port": onOff(other, ByClient),
		"on by socks":      onOff(bySOCKS, ByHand),
		"on, killed again": func(m *Manager) error {
			if err := m.On(context.Background(), byPAC, ByClient); err != nil {
				return err
			}
			return onOff(other, ByHand)(m)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newGNOME(t)
			f.store[gnomeMode], f.store[gnomeURL] = is("'auto'"), is("'http://old.example/p.pac'")
			before := maps.Clone(f.store)
			m := manage(t, gnome{f})
			if err := m.On(t.Context(), byPAC, ByClient); err != nil {
				t.Fatal(err)
			}
			if err := next(m); err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(f.store, before) {
				t.Errorf("in the end the setting is %v, want %v", f.store, before)
			}
			if _, err := os.Stat(m.file); err == nil {
				t.Error("the state is left")
			}
		})
	}
}

func onOff(target Target, by Owner) func(m *Manager) error {
	return func(m *Manager) error {
		if err := m.On(context.Background(), target, by); err != nil {
			return err
		}
		_, err := m.Off(context.Background())
		return err
	}
}

// Where even the state is lost, a setting that is the very same is still not taken for what was before.
func TestLostState(t *testing.T) {
	f := newGNOME(t)
	m := manage(t, gnome{f})
	for range 2 {
		if err := m.On(t.Context(), byPAC, ByClient); err != nil {
			t.Fatal(err)
		}
		if err := m.remove(); err != nil {
			t.Fatal(err)
		}
	}
	if err := onOff(byPAC, ByHand)(m); err != nil {
		t.Fatal(err)
	}
	if got := f.store[gnomeMode].Text; got != "'none'" {
		t.Errorf("mode %s after off, want 'none'", got)
	}
}

// A crash in the middle of On leaves some keys set and some not.
func TestHalfOn(t *testing.T) {
	f := newGNOME(t)
	before := maps.Clone(f.store)
	m := manage(t, gnome{f})
	if err := m.On(t.Context(), bySOCKS, ByClient); err != nil {
		t.Fatal(err)
	}
	f.store[gnomeMode], f.store[gnomeIgnore] = before[gnomeMode], before[gnomeIgnore]
	if r, err := m.Off(t.Context()); err != nil || len(r.Left) > 0 || !maps.Equal(f.store, before) {
		t.Errorf("off = %+v, %v, %v", r, err, f.store)
	}
}

// What a person has changed meanwhile is theirs.
func TestForeignChange(t *testing.T) {
	f := newGNOME(t)
	m := manage(t, gnome{f})
	if err := m.On(t.Context(), byPAC, ByClient); err != nil {
		t.Fatal(err)
	}
	f.store[gnomeMode] = is("'manual'")
	if lines, err := m.Status(t.Context()); err != nil || lines[0].Ours {
		t.Errorf("status = %+v, %v, want one that is not ours", lines, err)
	}
	r, err := m.Off(t.Context())
	if err != nil || len(r.Left) != 1 || !strings.Contains(r.Left[0], "mode") {
		t.Errorf("off = %+v, %v, want the mode to be left", r, err)
	}
	if f.store[gnomeMode].Text != "'manual'" || f.store[gnomeURL].Text != "''" {
		t.Errorf("after off: %v", f.store)
	}
}

// Who has set the proxy says when it ends.
func TestOwners(t *testing.T) {
	f := newGNOME(t)
	m := manage(t, gnome{f})
	is := func(want string) {
		t.Helper()
		if got := f.store[gnomeMode].Text; got != want {
			t.Errorf("mode %s, want %s", got, want)
		}
	}
	on := func(by Owner) {
		t.Helper()
		if err := m.On(t.Context(), byPAC, by); err != nil {
			t.Fatal(err)
		}
	}
	release := func() {
		t.Helper()
		if err := m.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	release()
	is("'none'")
	on(ByClient)
	is("'auto'")
	release()
	is("'none'")

	on(ByHand)
	on(ByClient)
	release()
	is("'auto'")
	if did, err := m.Recover(t.Context()); did || err != nil {
		t.Errorf("Recover = %v, %v, want nothing", did, err)
	}
	is("'auto'")
	if _, err := m.Off(t.Context()); err != nil {
		t.Fatal(err)
	}
	is("'none'")

	on(ByClient)
	m.answers = func(_ context.Context, address string) bool { return address == "127.0.0.1:1080" }
	if did, err := m.Recover(t.Context()); did || err != nil {
		t.Errorf("Recover beside a client that runs = %v, %v", did, err)
	}
	is("'auto'")
}

// An On that fails leaves nothing behind.
func TestFailingOn(t *testing.T) {
	for name, breakIt := range map[string]func(f *fakeSystem){
		"a command fails":     func(f *fakeSystem) { f.refuse = "mode \"'auto'\"" },
		"it does not persist": func(f *fakeSystem) { f.ignore = "mode \"'auto'\"" },
	} {
		t.Run(name, func(t *testing.T) {
			f := newGNOME(t)
			before := maps.Clone(f.store)
			breakIt(f)
			m := manage(t, gnome{f})
			err := m.On(t.Context(), byPAC, ByHand)
			if err == nil || !strings.Contains(err.Error(), "GNOME: set org.gnome.system.proxy mode") {
				t.Errorf("On = %v", err)
			}
			if !maps.Equal(f.store, before) {
				t.Errorf("left behind %v", f.store)
			}
			if _, err := os.Stat(m.file); err == nil {
				t.Error("the state is left")
			}
		})
	}
	if err := manage(t).On(t.Context(), byPAC, ByHand); err == nil {
		t.Error("On without a desktop succeeded")
	}
}

// An Off that fails can be tried again.
func TestFailingOff(t *testing.T) {
	f := newGNOME(t)
	before := maps.Clone(f.store)
	m := manage(t, gnome{f})
	if err := m.On(t.Context(), byPAC, ByHand); err != nil {
		t.Fatal(err)
	}
	f.refuse = "set org.gnome.system.proxy mode"
	if _, err := m.Off(t.Context()); err == nil || !strings.Contains(err.Error(), m.file) {
		t.Errorf("Off = %v, want an error that names the state file", err)
	}
	all := m.find
	m.find = func() []desktop { return nil }
	if _, err := m.Off(t.Context()); err == nil || !strings.Contains(err.Error(), "GNOME") {
		t.Errorf("Off without the desktop = %v", err)
	}
	f.refuse, m.find = "", all
	if _, err := m.Off(t.Context()); err != nil || !maps.Equal(f.store, before) {
		t.Errorf("Off = %v, %v", err, f.store)
	}
}

func TestDamagedState(t *testing.T) {
	f := newGNOME(t)
	m := manage(t, gnome{f})
	if err := os.MkdirAll(filepath.Dir(m.file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.On(t.Context(), byPAC, ByHand); err == nil || !strings.Contains(err.Error(), "damaged") || len(f.log) > 0 {
		t.Errorf("On with a damaged state = %v, ran %q", err, f.log)
	}
}

// A service that is gone has no proxy to be restored, and one that is new keeps its own.
func TestServicesComeAndGo(t *testing.T) {
	f := &fakeSystem{t: t, tools: "networksetup", store: map[string]value{}, services: []string{"Wi-Fi", "Dock"}}
	m := manage(t, macos{f})
	if err := m.On(t.Context(), byPAC, ByHand); err != nil {
		t.Fatal(err)
	}
	f.services, f.log = []string{"Wi-Fi", "Phone"}, nil
	if r, err := m.Off(t.Context()); err != nil || len(r.Left) > 0 {
		t.Errorf("Off = %+v, %v", r, err)
	}
	wantLog(t, "off", &f.log, "\nnetworksetup -setautoproxystate Wi-Fi off")
}

func TestGVariant(t *testing.T) {
	for s, want := range map[string]string{"a": "'a'", "": "''", `it's \ so`: `'it\'s \\ so'`} {
		if got := gvariant(s); got != want {
			t.Errorf("gvariant(%q) = %s, want %s", s, got, want)
		}
	}
}

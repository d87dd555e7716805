package upstream

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMonths(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, tc := range []struct {
		now        string
		day        int
		begin, end string
	}{
		{"2026-11-21 10:00", 1, "2026-11-01", "2026-12-01"},
		{"2026-11-01 00:00", 1, "2026-11-01", "2026-12-01"},
		{"2026-12-31 23:59", 1, "2026-12-01", "2027-01-01"},
		{"2026-11-21 10:00", 0, "2026-11-01", "2026-12-01"},
		{"2026-11-21 10:00", 22, "2026-10-22", "2026-11-22"},
		{"2026-01-02 10:00", 15, "2025-12-15", "2026-01-15"},
		{"2026-03-01 10:00", 31, "2026-02-28", "2026-03-31"},
		{"2028-03-01 10:00", 31, "2028-02-29", "2028-03-31"},
		{"2026-02-28 00:00", 31, "2026-02-28", "2026-03-31"},
		{"2026-02-27 23:00", 30, "2026-01-30", "2026-02-28"},
		{"2026-12-31 00:00", 31, "2026-12-31", "2027-01-31"},
	} {
		begin, end := monthBegin(at(tc.now), tc.day).Format(dateText), monthEnd(at(tc.now), tc.day).Format(dateText)
		if begin != tc.begin || end != tc.end {
			t.Errorf("%s, months from day %d: %s to %s, want %s to %s", tc.now, tc.day, begin, end, tc.begin, tc.end)
		}
	}
}

// packets is a status in which the path called phone has carried n octets.
func packets(n uint64) []PathStatus {
	return []PathStatus{{Name: "cable", packets: 7 * n}, {Name: "phone", packets: n}}
}

func TestUsageOverRestarts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "usage.json")
	paths := []PathConfig{{Name: "cable"}, {Name: "phone", Cap: 1000, CapStart: 5}}
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	u := newUsage(file, paths, slog.New(slog.DiscardHandler))
	st := packets(400)
	u.count(st, now)
	u.count(packets(600), now)
	u.count(packets(50), now) // a new session
	if got := u.paths["phone"].Octets; got != 650 {
		t.Fatalf("counted %d, want 650", got)
	}
	if st[1].Cap == nil || *st[1].Cap != (PathCap{1000, 400, "2026-12-05"}) || st[0].Cap != nil {
		t.Errorf("status %+v", st)
	}
	u.save()
	u = newUsage(file, paths, slog.New(slog.DiscardHandler))
	u.count(packets(349), now)
	if got := u.reached(now); len(got) != 0 {
		t.Errorf("reached at 999 of 1000: %v", got)
	}
	u.count(packets(351), now)
	if got := u.reached(now)["phone"]; got != "cap of 1 kB reached; begins anew on 5 December" {
		t.Errorf("reached: %q", got)
	}
	u.save()
	u = newUsage(file, paths, slog.New(slog.DiscardHandler))
	if got := u.reached(now.AddDate(0, 0, -1)); len(got) != 1 {
		t.Errorf("after a restart: %v, want phone", got)
	}
	if got := u.reached(now.AddDate(0, -2, 0)); len(got) != 1 {
		t.Errorf("after the clock was put back: %v, want phone", got)
	}
	if got := u.reached(now.AddDate(0, 1, 0)); len(got) != 0 {
		t.Errorf("in the next month: %v, want none", got)
	}
}

// TestUsageThatCannotBeRead is not overwritten.
func TestUsageThatCannotBeRead(t *testing.T) {
	for name, text := range map[string]string{"torn": `{"version":1,"pa`, "of a later version": `{"version":2}`} {
		file := filepath.Join(t.TempDir(), "usage.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		j := newJournal()
		u := newUsage(file, []PathConfig{{Name: "phone", Cap: 1000}}, j.logger())
		u.count(packets(5), time.Now())
		u.save()
		if got, _ := os.ReadFile(file); string(got) != text {
			t.Errorf("a file that is %s was overwritten by %q", name, got)
		}
		if len(j.matching("usage of paths not known")) != 1 {
			t.Errorf("%s: nothing in the log", name)
		}
	}
}

// TestUsageThatCannotBeWritten is written as soon as it can be, and tried less and less often until then.
func TestUsageThatCannotBeWritten(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "later")
	file := filepath.Join(folder, "usage.json")
	paths := []PathConfig{{Name: "phone", Cap: 1000}}
	j := newJournal()
	u := newUsage(file, paths, j.logger())
	now := time.Now()
	u.count(packets(5), now)
	tries := 0
	for range 200 { // of usageSaveEvery each
		before := u.failed
		now = now.Add(usageSaveEvery)
		if u.saveNowAndThen(now); u.failed != before {
			tries++
		}
	}
	if tries < 3 || tries > 200/2 {
		t.Errorf("%d attempts in %v, want some, and not each time", tries, 200*usageSaveEvery)
	}
	if n := len(j.matching("usage of paths not kept")); n != 1 {
		t.Errorf("said %d times, want once", n)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	u.saveNowAndThen(now.Add(usageRetryMost))
	if u.failed != 0 || len(j.matching("usage of paths is kept again")) != 1 {
		t.Errorf("%d failures after the file could be written, want 0, and a line in the log", u.failed)
	}
	v := newUsage(file, paths, slog.New(slog.DiscardHandler))
	if got, want := v.paths["phone"], u.paths["phone"]; got == nil || got.Octets != want.Octets {
		t.Errorf("after a restart %+v, want %+v", got, want)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

// TestUsageReconfigured has caps that come and go: what was carried without one does not
// count, and what was counted before is not forgotten.
func TestUsageReconfigured(t *testing.T) {
	file := filepath.Join(t.TempDir(), "usage.json")
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	if err := os.WriteFile(file, []byte(`{"version":1,"paths":{"phone":{"since":"2026-11-01","octets":100}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	u := newUsage(file, []PathConfig{{Name: "cable"}, {Name: "phone"}}, slog.New(slog.DiscardHandler))
	count := func(n, want uint64) {
		t.Helper()
		st := packets(n)
		u.count(st, now)
		var got uint64
		if st[1].Cap != nil {
			got = st[1].Cap.Used
		}
		if got != want {
			t.Errorf("with %d octets carried %d are counted, want %d", n, got, want)
		}
	}
	count(500, 0)
	capped := []PathConfig{{Name: "cable"}, {Name: "phone", Cap: 1000}}
	u.configure(capped)
	count(700, 100)
	count(900, 300)
	capped[1].Cap = 300
	u.configure(capped)
	count(950, 350)
	if len(u.reached(now)) != 1 {
		t.Error("a cap that is lower than what is used is not reached")
	}
	u.configure([]PathConfig{{Name: "phone"}})
	count(2000, 0)
	if len(u.reached(now)) != 0 {
		t.Error("a cap that is gone is reached")
	}
	u.configure(capped)
	count(3000, 350)
	count(3001, 351)
	u.save()
	if kept, err := os.ReadFile(file); err != nil || !strings.Contains(string(kept), `"octets": 351`) {
		t.Errorf("kept %q, %v", kept, err)
	}
}

// TestUsageLooksInTime has a path that comes near its cap: looks come soon enough to
// stay within a hundredth of it.
func TestUsageLooksInTime(t *testing.T) {
	const rate, limit = 2.5e6, 20e6 // 20 Mbit/s
	u := newUsage("", []PathConfig{{Name: "phone", Cap: limit}}, slog.New(slog.DiscardHandler))
	now, begin, looks := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), time.Duration(0), 0
	for len(u.reached(now.Add(begin))) == 0 {
		if looks++; looks > 100 {
			t.Fatalf("%d looks in %v", looks, begin)
		}
		begin += u.next(tallyEvery)
		u.count(packets(uint64(rate*begin.Seconds())), now.Add(begin))
	}
	if over := rate*begin.Seconds()/limit - 1; over > 0.01 {
		t.Errorf("noticed %.1f %% too late, after %d looks", 100*over, looks)
	}
}

// TestCapMakesBackup has a client whose path reaches its cap.
func TestCapMakesBackup(t *testing.T) {
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, nil)
	file := filepath.Join(t.TempDir(), "usage.json")
	c := startClient(t, id, e, func(cfg *ClientConfig) {
		cfg.Paths, cfg.Usage = loopbackPaths(2), file
		cfg.Paths[1].Cap = 1e6
	})
	second := func() PathStatus { return c.Status().Paths[1] }
	eventually(t, "both up", func() bool { return second().State == stateUp && c.Status().Paths[0].State == stateUp })
	text := strings.Repeat("x", 1<<20)
	eventually(t, "the cap", func() bool {
		roundTrip(t, c, text)
		p := second()
		return p.Role == RoleBackup && strings.HasPrefix(p.RoleReason, "cap of 1 MB reached") && p.Cap.Used >= 1e6
	})
	eventually(t, "the egress knows", func() bool {
		for _, p := range e.Status().Paths {
			if p.Role == RoleBackup {
				return true
			}
		}
		return false
	})
	// Where the machine is too busy for the first path to answer in time, the backup is right to take over for a while.
	eventually(t, "next to nothing more on a path whose cap is reached", func() bool {
		used := second().Cap.Used
		roundTrip(t, c, text)
		return second().Cap.Used-used <= 1<<18
	})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if kept, err := os.ReadFile(file); err != nil || !strings.Contains(string(kept), `"path2"`) {
		t.Errorf("kept %q, %v", kept, err)
	}
}

// TestCapWhileItRuns gives a path a cap, and takes it back, while its connection goes on.
func TestCapWhileItRuns(t *testing.T) {
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, nil)
	paths := loopbackPaths(2)
	c := startClient(t, id, e, func(cfg *ClientConfig) { cfg.Paths = paths })
	second := func() PathStatus { return c.Status().Paths[1] }
	eventually(t, "both up", func() bool { return second().State == stateUp && c.Status().Paths[0].State == stateUp })
	local := second().Local
	capped := loopbackPaths(2)
	capped[1].Cap = 1e6
	if err := c.SetPaths(capped); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("x", 1<<20)
	eventually(t, "the cap", func() bool {
		roundTrip(t, c, text)
		return second().Role == RoleBackup
	})
	if p := second(); p.Cap == nil || p.Cap.Limit != 1e6 || p.Cap.Used < 1e6 {
		t.Errorf("cap %+v of a path that has reached it", p.Cap)
	}
	if err := c.SetPaths(paths); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no cap", func() bool { p := second(); return p.Role == RolePrimary && p.Cap == nil })
	if p := second(); p.Local != local {
		t.Errorf("the path left from %s and now leaves from %s", local, p.Local)
	}
}

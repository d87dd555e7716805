package upstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/mpsocks/mpsocks/internal/units"
)

const (
	// usageSaveEvery bounds what a crash leaves uncounted.
	usageSaveEvery = 5 * time.Second
	// usageRetryMost bounds the time between two attempts to write a file that cannot be written.
	usageRetryMost = 10 * time.Minute
	// usageLookLeast is how often counters are looked at when a cap is about to be
	// reached.
	usageLookLeast = 20 * time.Millisecond
	// maxUsageFile bounds what is read.
	maxUsageFile = 1 << 20
	dateText     = "2006-01-02"
	// packetsGuess is what packets add, in sixty-fourths, where nobody counts them.
	packetsGuess = 3
)

// usage counts what paths with a cap carry in each month, over restarts of the
// program. Its file is a JSON object, written to a new file that takes the old one's
// place.
type usage struct {
	file string // empty: none
	log  *slog.Logger

	mu     sync.Mutex
	paths  map[string]*used
	caps   map[string]PathConfig
	saved  time.Time
	read   bool // the file has been
	dirty  bool
	broken bool // the file cannot be read, which has been said: it is not overwritten
	failed int  // writes since the last that was done
}

// used is what a path has carried.
type used struct {
	Since  string `json:"since"` // the day on which the month began, as dateText; days have no time zone, in which people travel
	Octets uint64 `json:"octets"`

	seen   uint64 // the counter as last reported
	fresh  bool   // the counter has not been seen since there is a cap
	looked time.Time
	before uint64  // Octets then
	rate   float64 // octets a second lately
}

// usageFile is the file's content.
type usageFile struct {
	Version int              `json:"version"`
	Paths   map[string]*used `json:"paths"`
}

// newUsage reads the file. One that is not there is a new one; one that cannot be read
// is not overwritten.
func newUsage(file string, paths []PathConfig, log *slog.Logger) *usage {
	u := &usage{file: file, log: log, paths: make(map[string]*used), caps: capsOf(paths)}
	u.known()
	return u
}

// capsOf returns those of the paths that have a cap.
func capsOf(paths []PathConfig) map[string]PathConfig {
	caps := make(map[string]PathConfig)
	for _, p := range paths {
		if p = p.withDefaults(); p.Cap > 0 {
			caps[p.Name] = p
		}
	}
	return caps
}

// configure takes the caps of paths in the place of those there were. One that is new
// begins with what its path carries from now on.
func (u *usage) configure(paths []PathConfig) {
	u.mu.Lock()
	defer u.mu.Unlock()
	before := u.caps
	u.caps = capsOf(paths)
	u.known()
	for name := range u.caps {
		if _, ok := before[name]; ok {
			continue
		}
		if u.paths[name] == nil {
			u.paths[name] = &used{}
		}
		u.paths[name].fresh = true
	}
}

// known sees to it that the file has been read if there is a cap. mu is held, or
// nobody else knows u.
func (u *usage) known() {
	if u.read || len(u.caps) == 0 || u.file == "" {
		return
	}
	u.read = true
	if err := u.load(); err != nil {
		u.log.Error("usage of paths not known: counting from zero, and not kept", "file", u.file, "err", err)
		u.broken = true
	}
}

func (u *usage) load() error {
	info, err := os.Stat(u.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Size() > maxUsageFile:
		return fmt.Errorf("%d bytes, more than %d", info.Size(), maxUsageFile)
	}
	text, err := os.ReadFile(u.file)
	if err != nil {
		return err
	}
	var f usageFile
	if err := json.Unmarshal(text, &f); err != nil {
		return err
	}
	if f.Version != 1 {
		return fmt.Errorf("version %d, want 1", f.Version)
	}
	for name, x := range f.Paths {
		if x != nil {
			u.paths[name] = x
		}
	}
	return nil
}

// count takes the counters of paths in and adds to paths what people want to know.
func (u *usage) count(paths []PathStatus, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := range paths {
		p := &paths[i]
		cfg, ok := u.caps[p.Name]
		if !ok {
			continue
		}
		x := u.of(cfg, now)
		n := p.packets
		if n == 0 {
			n = p.TxBytes + p.RxBytes
			n += n * packetsGuess / 64
		}
		if x.fresh {
			x.seen, x.fresh = n, false
		}
		if n < x.seen {
			x.seen = 0 // counted anew
		}
		if n > x.seen {
			x.Octets += n - x.seen
			x.seen, u.dirty = n, true
		}
		x.look(now)
		p.Cap = &PathCap{uint64(cfg.Cap), x.Octets, monthEnd(now, cfg.CapStart).Format(dateText)}
	}
}

// of returns the path's record for the present month. mu is held.
func (u *usage) of(cfg PathConfig, now time.Time) *used {
	x := u.paths[cfg.Name]
	if x == nil {
		x = &used{}
		u.paths[cfg.Name] = x
	}
	switch begin := monthBegin(now, cfg.CapStart).Format(dateText); {
	case x.Since == begin:
	case x.Since < begin:
		x.Since, x.Octets, u.dirty = begin, 0, true
	default: // the clock was put back: nothing is forgiven
		x.Since, u.dirty = begin, true
	}
	return x
}

// look keeps the rate.
func (x *used) look(now time.Time) {
	d := now.Sub(x.looked)
	if d < usageLookLeast/2 {
		return
	}
	if d < 2*tallyEvery && x.Octets >= x.before {
		x.rate = float64(x.Octets-x.before) / d.Seconds()
	}
	x.looked, x.before = now, x.Octets
}

// reached returns why paths are backups now, by name.
func (u *usage) reached(now time.Time) map[string]string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.caps) == 0 {
		return nil
	}
	out := make(map[string]string)
	for name, cfg := range u.caps {
		if x := u.of(cfg, now); x.Octets >= uint64(cfg.Cap) {
			out[name] = fmt.Sprintf("cap of %s reached; begins anew on %s", units.Size(uint64(cfg.Cap)), monthEnd(now, cfg.CapStart).Format("2 January"))
		}
	}
	return out
}

// next is when to look at the counters again, no later than most: the nearer a cap is,
// the sooner.
func (u *usage) next(most time.Duration) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	wait := most
	for name, cfg := range u.caps {
		x := u.paths[name]
		if x == nil || x.Octets >= uint64(cfg.Cap) {
			continue
		}
		left := float64(uint64(cfg.Cap) - x.Octets)
		wait = min(wait, time.Duration(min(left/4/max(x.rate, left/1000), 1000)*float64(time.Second)))
		if x.rate == 0 {
			wait = min(wait, most/8) // it may begin at any rate
		}
	}
	return max(wait, usageLookLeast)
}

// saveNowAndThen saves what has changed, unless that was done a moment ago.
func (u *usage) saveNowAndThen(now time.Time) {
	u.mu.Lock()
	due := u.dirty && now.Sub(u.saved) >= min(usageSaveEvery<<min(u.failed, 10), usageRetryMost)
	if due {
		u.saved = now
	}
	u.mu.Unlock()
	if due {
		u.save()
	}
}

// save writes the file, if there is one and something has changed. Only the client's
// own goroutine calls it.
func (u *usage) save() {
	u.mu.Lock()
	text, err := json.MarshalIndent(usageFile{1, u.paths}, "", "  ")
	skip := !u.dirty || u.file == "" || u.broken || len(u.caps) == 0
	u.dirty = u.dirty && skip
	u.mu.Unlock()
	if skip {
		return
	}
	if err == nil {
		err = replaceFile(u.file, append(text, '\n'))
	}
	u.wrote(err)
}

// wrote notes what has become of a write. One that has failed, as on a full disk, is tried again, less and less often.
func (u *usage) wrote(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case err != nil:
		if u.failed++; u.failed == 1 {
			u.log.Error("usage of paths not kept, trying again: a restart now counts from what was kept last", "file", u.file, "err", err)
		}
		u.dirty = true
	case u.failed > 0:
		u.failed = 0
		u.log.Info("usage of paths is kept again", "file", u.file)
	}
}

// replaceFile puts text in the place of the file, or leaves the file as it is.
func replaceFile(name string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// monthBegin is when the month that now is in began, if months begin on the given day,
// or on their last one if they have no such day.
func monthBegin(now time.Time, day int) time.Time {
	begin := dayOfMonth(now.Year(), now.Month(), day, now.Location())
	if begin.After(now) {
		begin = dayOfMonth(now.Year(), now.Month()-1, day, now.Location())
	}
	return begin
}

// monthEnd is when that month ends.
func monthEnd(now time.Time, day int) time.Time {
	begin := monthBegin(now, day)
	return dayOfMonth(begin.Year(), begin.Month()+1, day, begin.Location())
}

func dayOfMonth(year int, month time.Month, day int, loc *time.Location) time.Time {
	last := time.Date(year, month+1, 0, 0, 0, 0, 0, loc).Day()
	return time.Date(year, month, min(max(day, 1), last), 0, 0, 0, 0, loc)
}

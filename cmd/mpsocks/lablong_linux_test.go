package main

import (
	"os"
	"strings"
	"testing"

	"github.com/mpsocks/mpsocks/internal/units"
)

// longEnv has the tests run that wait for minutes of real time; `make long` sets it. The usual suite goes without them.
const longEnv = "MPSOCKS_TEST_LONG"

// long skips a test that takes minutes unless it is asked for.
func long(t *testing.T) {
	t.Helper()
	if os.Getenv(longEnv) == "" {
		t.Skipf("takes minutes: set %s=1, or run `make long`", longEnv)
	}
}

// rewrittenLeast is how many packets TestLongRewritten has rewritten.
const rewrittenLeast = 1000

// One of two lines rewrites what it carries, checksums and all, a thousand packets of it. The path is quarantined each time; to get at so many, its owner
// insists on it each time, and the line behaves until the path is up. A download of at least 20 MB has no wrong octet.
func TestLongRewritten(t *testing.T) {
	long(t)
	t.Parallel()
	b := newBed(t, bedConfig{paths: []string{"20M/30ms", "20M/40ms"}, byInterface: true})
	bad := func() uint64 { s := b.lab.Path(1).Stats(); return s.Up.Corrupted + s.Down.Corrupted }
	x := b.download(t, b.socks, 0)
	reasons := make(map[string]int)
	for bad() < rewrittenLeast {
		b.allUp(t)
		before := b.pathStatus(t, 1).RX
		eventually(t, "the path carries", func() bool { return b.pathStatus(t, 1).RX > before+256<<10 })
		b.do(t, "corrupt 1 100%")
		eventually(t, "quarantine", func() bool { return b.pathStatus(t, 1).State == "quarantine" })
		_, reason, _ := strings.Cut(b.pathStatus(t, 1).Reason, ": ") // before it, for how long
		reasons[reason]++
		b.do(t, "corrupt 1 0")
		b.change(t, "disable "+b.name(1))
		b.change(t, "enable "+b.name(1))
	}
	x.moves(t, max(0, 20_000_000-x.at.count()))
	x.finish(t)
	t.Logf("%d packets were rewritten during a download of %s, every octet of which is right; quarantined: %v", bad(), units.Size(uint64(x.at.count())), reasons)
	for reason := range reasons {
		if !strings.Contains(reason, "altered") {
			t.Errorf("quarantined for %q", reason)
		}
	}
}

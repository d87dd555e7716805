package mptcp

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mpsocks/mpsocks/internal/netsim"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
)

// widest notes the longest write.
type widest struct {
	net.Conn
	most *atomic.Int64
}

func (c widest) Write(p []byte) (int, error) {
	if n := int64(len(p)); n > c.most.Load() { // one goroutine writes
		c.most.Store(n)
	}
	return c.Conn.Write(p)
}

// Several records are bound at once only on a path that takes no time for them.
func TestRecordsAreWrittenTogetherOnFastPaths(t *testing.T) {
	const oneRecord = wire.HeaderLen + wire.MaxOptions + largePiece
	for _, tc := range []struct {
		name   string
		link   netsim.Link
		octets int
		many   bool
	}{
		{"10 Mbit/s", wan, 2 << 20, false},
		{"200 Mbit/s", netsim.Link{Rate: 25e6, Delay: 10 * time.Millisecond}, 16 << 20, false},
		{"16 Gbit/s", netsim.Link{Rate: 2e9, Delay: 100 * time.Microsecond}, 32 << 20, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil, tc.link)
				var most atomic.Int64
				p := w.path(0)
				dial := p.Dial
				p.Dial = func(ctx context.Context) (*Carrier, error) {
					c, err := dial(ctx)
					if err == nil {
						c.Conn = widest{c.Conn, &most}
					}
					return c, err
				}
				w.start(p)
				c, s := w.stream()
				go func() {
					_, _ = c.Write(make([]byte, tc.octets))
					_ = c.CloseWrite()
				}()
				if n, err := io.Copy(io.Discard, s); n != int64(tc.octets) || err != nil {
					t.Errorf("%d octets, %v; want %d", n, err, tc.octets)
				}
				// A small record may be in front of one with data.
				if got := most.Load(); got > batchMost || (got > 3*oneRecord/2) != tc.many {
					t.Errorf("the longest write has %d octets, want more than one record %v", got, tc.many)
				}
				_ = c.Close()
				_ = s.Close()
			})
		})
	}
}

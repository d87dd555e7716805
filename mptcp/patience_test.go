package mptcp

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mpsocks/mpsocks/internal/netsim"
)

// modem is a link of 9.6 kbit/s.
var modem = netsim.Link{Rate: 1200, Delay: 300 * time.Millisecond}

// secured is path i with a TLS handshake that takes as long as that of a modem does.
func (w *world) secured(i int, tls time.Duration, tell bool) Path {
	p := w.path(i)
	dial := p.Dial
	p.Dial = func(ctx context.Context) (*Carrier, error) {
		start := time.Now()
		c, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		if tell {
			Connected(ctx, time.Since(start))
		}
		select {
		case <-time.After(tls):
			return c, nil
		case <-ctx.Done():
			c.Conn.Close()
			return nil, ctx.Err()
		}
	}
	return p
}

// A line of a few kbit/s needs longer for its handshake than others are given to connect.
func TestDialModem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, modem)
		w.start(w.secured(0, 6*time.Second, true))
		w.echo()
	})
}

func TestDialPatienceEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		link  netsim.Link
		tell  bool
		least time.Duration
		most  time.Duration
	}{
		"quick line hangs after TCP": {wan, true, 3 * time.Second, 3500 * time.Millisecond},
		"modem hangs after TCP":      {modem, true, 12 * time.Second, 15 * time.Second},
		"not told":                   {modem, false, 3 * time.Second, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil, tc.link)
				began := time.Now()
				_, err := Dial(t.Context(), w.cfg, w.secured(0, time.Hour, tc.tell))
				if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took < tc.least || took > tc.most {
					t.Errorf("after %v: %v", took, err)
				}
			})
		})
	}
}

func TestConnectedElsewhere(t *testing.T) {
	Connected(t.Context(), time.Second) // nobody's attempt
	ctx, cancel := withPatience(t.Context(), time.Hour)
	cancel()
	Connected(ctx, time.Second) // over already
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("%v, want an attempt that stays over", ctx.Err())
	}
}

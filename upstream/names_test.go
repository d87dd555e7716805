package upstream

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// oracle is a resolver that answers as told and counts the questions.
type oracle struct {
	asked  int
	answer []netip.Addr
	err    error
	hangs  bool
}

func (o *oracle) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	o.asked++
	if o.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return o.answer, o.err
}

func TestNameCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &oracle{err: errors.New("no such host")}
		c := newNameCache(o)
		check := func(what string, asked int, want ...string) {
			t.Helper()
			got, err := c.LookupNetIP(t.Context(), "ip", "egress.example")
			if (err == nil) != (len(want) > 0) || !slices.Equal(got, addrs(want...)) || o.asked != asked {
				t.Errorf("%s: %v, %v after %d questions, want %v after %d", what, got, err, o.asked, want, asked)
			}
		}
		check("unknown", 1)
		*o = oracle{asked: 1, answer: addrs("192.0.2.1")}
		check("first answer", 2, "192.0.2.1")
		check("at once again", 2, "192.0.2.1")
		time.Sleep(nameFresh)
		o.answer = addrs("192.0.2.2")
		check("moved", 3, "192.0.2.2")
		time.Sleep(nameFresh)
		o.err = errors.New("server failure")
		o.answer = nil
		check("resolver broken", 4, "192.0.2.2")
		o.hangs = true
		begin := time.Now()
		check("resolver silent", 5, "192.0.2.2")
		if d := time.Since(begin); d != namePatience {
			t.Errorf("waited %v for a silent resolver, want %v", d, namePatience)
		}
	})
}

package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestRefusalsTellInBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		r := newRefusals(j.logger())
		from := func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
		}
		for range 5 {
			r.note(from(1), refusedGarbage, nil)
		}
		r.note(from(1), refusedUnknown, ErrUnknownClient)
		r.note(from(2), refusedGarbage, nil)
		if got := j.matching("WARN"); len(got) != 3 {
			t.Errorf("lines = %q, want one for each source and reason", got)
		}
		time.Sleep(refuseEvery)
		r.note(from(1), refusedGarbage, nil)
		if got := j.matching("repeated=4"); len(got) != 1 {
			t.Errorf("lines = %q, want one that counts the four that were not told", j.matching())
		}
		// A flood from everywhere is told of as long as it can be remembered, and
		// then as one.
		for i := range 10 * maxRefusers {
			r.note(from(1000+i), refusedGarbage, nil)
		}
		if n := len(r.seen); n > maxRefusers+1 {
			t.Errorf("%d strangers remembered, want at most %d", n, maxRefusers+1)
		}
		if n := len(j.matching()); n > maxRefusers+10 {
			t.Errorf("%d lines of log about a flood", n)
		}
		if got := r.snapshot()[refusedGarbage]; got != 7+10*maxRefusers {
			t.Errorf("counted %d, want all of them", got)
		}
		// Whoever closes first is not worth a warning.
		before := len(j.matching("WARN"))
		r.note(netip.MustParseAddrPort("192.0.2.1:1"), refusedGone, io.EOF)
		if got := len(j.matching("WARN")); got != before {
			t.Error("a port scan was warned of")
		}
	})
}

func TestRefusalOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("%w: abc", ErrUnknownClient), refusedUnknown},
		{errNoKey, refusedUnknown},
		{errProtocol, refusedProtocol},
		{tls.RecordHeaderError{Msg: "x"}, refusedGarbage},
		{context.DeadlineExceeded, refusedSlow},
		{&net.OpError{Err: os.ErrDeadlineExceeded}, refusedSlow},
		{errTruncated, refusedGone},
		{&net.OpError{Err: syscall.ECONNRESET}, refusedGone},
		{errors.New("tls: something"), refusedOther},
	} {
		if got := refusalOf(c.err); got != c.want {
			t.Errorf("refusalOf(%v) = %s, want %s", c.err, got, c.want)
		}
	}
}

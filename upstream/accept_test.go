package upstream

import (
	"context"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// scripted is a listener that fails as told; a nil error is a connection.
type scripted struct {
	begin  time.Time
	script []error
	asked  []time.Duration
	end    context.CancelFunc
}

func (s *scripted) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (s *scripted) AcceptTCP() (*net.TCPConn, error) {
	s.asked = append(s.asked, time.Since(s.begin))
	if len(s.script) == 0 {
		s.end()
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	err := s.script[0]
	s.script = s.script[1:]
	if err != nil {
		return nil, &net.OpError{Op: "accept", Err: err}
	}
	return &net.TCPConn{}, nil
}

func TestAcceptAllOutlivesErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		j := newJournal()
		full := syscall.EMFILE
		s := &scripted{begin: time.Now(), end: cancel, script: []error{
			nil, full, full, full, nil, syscall.ECONNABORTED, nil,
			full, full, full, full, full, full, full, full, full, full,
			full, full, full, full, full, full, full, full, full,
		}}
		taken := 0
		acceptAll(ctx, s, j.logger(), func(*net.TCPConn) { taken++ })
		if taken != 3 {
			t.Errorf("took %d connections, want 3", taken)
		}
		if got := j.matching("ERROR accept"); len(got) != 2 || !strings.Contains(got[1], "repeated=20") {
			t.Errorf("lines = %q, want one at once and one for all others of ten seconds", got)
		}
		var waits []time.Duration
		for i := 1; i < len(s.asked); i++ {
			if d := s.asked[i] - s.asked[i-1]; d > 0 {
				waits = append(waits, d)
			}
		}
		ms := time.Millisecond
		want := []time.Duration{
			5 * ms, 10 * ms, 20 * ms, 5 * ms,
			5 * ms, 10 * ms, 20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms,
		}
		for range 11 {
			want = append(want, time.Second)
		}
		if !slices.Equal(waits, want) {
			t.Errorf("waits = %v, want %v", waits, want)
		}
	})
}

func TestAcceptAllEndsWithItsListener(t *testing.T) {
	ln, err := listenTCP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	acceptAll(t.Context(), ln, newJournal().logger(), func(*net.TCPConn) { t.Error("took a connection") })
}

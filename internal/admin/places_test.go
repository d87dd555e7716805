package admin

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"
)

// Who holds connections without asking anything loses them to those who ask, the oldest first.
func TestPlaces(t *testing.T) {
	addr := start(t, Config{Status: status})
	silent := make([]net.Conn, 2*maxConns)
	for i := range silent {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "GET /status HTTP/1.1\r\nHo") // may be closed already
		silent[i] = c
		if code, _, _ := ask(t, "GET", addr, "/status", ""); code != http.StatusOK {
			t.Fatalf("beside %d others: status %d", i+1, code)
		}
	}
	for i, c := range silent[:maxConns] {
		_ = c.SetReadDeadline(time.Now().Add(requestTime / 2)) // before they would be let go anyway
		if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("connection %d of %d is still there", i, len(silent))
		}
	}
}

// A connection with a request keeps its place, whoever comes.
func TestPlacesOfTheBusy(t *testing.T) {
	p := newPlaces(2)
	conns := make([]net.Conn, 5)
	for i := range conns {
		conns[i], _ = net.Pipe()
	}
	for i, step := range []struct {
		conn int
		to   http.ConnState
		late int // -1: none
	}{
		{0, http.StateNew, -1},
		{0, http.StateActive, -1},
		{1, http.StateNew, -1},
		{2, http.StateNew, 1},
		{1, http.StateActive, -1}, // half a request
		{1, http.StateClosed, -1},
		{2, http.StateActive, -1},
		{3, http.StateNew, 3}, // all are busy
		{3, http.StateClosed, -1},
		{0, http.StateIdle, -1},
		{4, http.StateNew, 0},
		{0, http.StateClosed, -1},
		{2, http.StateClosed, -1},
		{4, http.StateHijacked, -1},
	} {
		late := p.note(conns[step.conn], step.to)
		if step.late < 0 && late != nil || step.late >= 0 && late != conns[step.late] {
			t.Errorf("step %d: another connection has lost its place than want %d", i, step.late)
		}
	}
	if len(p.busy)+len(p.waiting)+len(p.gone)+p.order.Len() > 0 {
		t.Errorf("%d busy, %d waiting and %d other connections are left", len(p.busy), len(p.waiting), len(p.gone))
	}
}

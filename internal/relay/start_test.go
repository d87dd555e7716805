package relay

import (
	"errors"
	"net"
	"testing"
)

// Start leaves its caller, and tells the end once.
func TestStart(t *testing.T) {
	client, a := tcpPair(t)
	b, origin := tcpPair(t)
	done := make(chan result, 2)
	Start(t.Context(), a, b, Config{}, func(up, down int64, err error) { done <- result{up, down, err} })
	mustWrite(t, client, []byte("up"))
	closeWriteOf(t, client)
	mustReadAll(t, origin, []byte("up"))
	mustWrite(t, origin, []byte("down"))
	closeWriteOf(t, origin)
	mustReadAll(t, client, []byte("down"))
	if got := <-done; got != (result{2, 4, nil}) {
		t.Errorf("told %+v", got)
	}
	if len(done) > 0 {
		t.Errorf("told %+v besides", <-done)
	}
}

// defective is a connection whose reading is a defect of ours.
type defective struct{ net.Conn }

func (defective) Read([]byte) (int, error) { panic("on purpose") }
func (d defective) NetConn() net.Conn      { return d.Conn }

// A defect ends its own pair, with a reset on both sides, and says where it is.
func TestPanicEndsThePair(t *testing.T) {
	client, a := tcpPair(t)
	b, origin := tcpPair(t)
	_, _, err := Pipe(t.Context(), a, defective{b}, Config{})
	var defect *PanicError
	if !errors.As(err, &defect) || defect.Value != "on purpose" || len(defect.Stack) == 0 {
		t.Errorf("Pipe = %v, want the panic with its stack", err)
	}
	readUntilReset(t, client)
	readUntilReset(t, origin)
}

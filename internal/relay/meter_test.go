package relay

import (
	"net"
	"testing"
	"time"
)

// A meter knows what has gone by while it goes on, and in the end exactly.
func TestMeter(t *testing.T) {
	for name, wrap := range wrappings {
		t.Run(name, func(t *testing.T) {
			m := new(Meter)
			r := newRig(t, Config{Meter: m}, wrap)
			data := randomBytes(2*spliceStep + 100)
			for _, way := range []struct{ from, to net.Conn }{{r.client, r.origin}, {r.origin, r.client}} {
				go func() { _, _ = way.from.Write(data) }() // a failure shows on the reading side
				mustRead(t, way.to, data)
			}
			least := int64(len(data))
			if name == "splice" {
				least = 2 * spliceStep
			}
			up, down := m.Bytes()
			for until := time.Now().Add(hang); (up < least || down < least) && time.Now().Before(until); up, down = m.Bytes() {
				time.Sleep(time.Millisecond) // bytes may be counted a moment after they have arrived
			}
			if up < least || down < least {
				t.Errorf("while it runs %d and %d bytes are shown, want %d at least", up, down, least)
			}
			closeWriteOf(t, r.client)
			closeWriteOf(t, r.origin)
			res := r.wait(t)
			if up, down = m.Bytes(); up != res.up || down != res.down || up != int64(len(data)) {
				t.Errorf("in the end %d and %d bytes are shown, relayed were %+v", up, down, res)
			}
		})
	}
}

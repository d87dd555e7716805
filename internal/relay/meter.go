package relay

import "sync/atomic"

// Meter shows what a relay has carried while it runs, for people: a count may be of bytes that were read and are not delivered yet. Between two
// sockets that the kernel joins it moves in steps of spliceStep.
type Meter struct{ forth, back atomic.Int64 }

// Bytes returns how many bytes have gone from a to b and from b to a.
func (m *Meter) Bytes() (aToB, bToA int64) { return m.forth.Load(), m.back.Load() }

// Forth counts bytes from a to b for who relays in another way, and Back those from b to a.
func (m *Meter) Forth(n int) { m.forth.Add(int64(n)) }

// Back counts bytes from b to a.
func (m *Meter) Back(n int) { m.back.Add(int64(n)) }

// spliceStep is how many bytes the kernel is told to move before they are counted: more than it holds at a time between the sockets.
const spliceStep = 256 << 10

// tell counts n more bytes of the flow for the meter, if there is one.
func (f *flow) tell(n int64) {
	if f.meter != nil {
		f.meter.Add(n)
	}
}

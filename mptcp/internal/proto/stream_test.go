package proto

import (
	"slices"
	"testing"
)

// TestResetIsHeardBehindWhatWasWritten, both ways end, and no credit is lost.
func TestResetIsHeardBehindWhatWasWritten(t *testing.T) {
	d := onePath(t)
	near, far := d.open(client, 1000)
	put(far, 50_000)
	d.poll(egress, 0)
	put(near, 500)
	near.Reset(d.now, CodeReset)
	if near.WriteErr() != CodeReset || near.Room() != 0 {
		t.Errorf("after Reset: WriteErr() = %v, Room() = %d", near.WriteErr(), near.Room())
	}
	if end, code := near.ReadErr(); end || code != CodeReset {
		t.Errorf("after Reset: ReadErr() = %v, %v", end, code)
	}
	far.WantWritable()
	d.settle()
	if far.WriteErr() != CodeReset || !slices.Contains(d.events(egress), "writable stream 0") {
		t.Errorf("the peer: WriteErr() = %v, or nobody was woken", far.WriteErr())
	}
	if got := take(t, d.now, far); got != 1500 {
		t.Errorf("read %d octets before the reset, want 1500", got)
	}
	if end, code := far.ReadErr(); end || code != CodeReset {
		t.Errorf("the peer: ReadErr() = %v, %v", end, code)
	}
	d.rest()
	d.wantRest(near, far)
}

// wantRest asks that the streams are gone and no credit is missing.
func (d *duo) wantRest(streams ...*Stream) {
	d.t.Helper()
	for _, st := range streams {
		if !st.Finished() {
			d.t.Errorf("stream %d is %s", st.id, st.State())
		}
	}
	for i, s := range d.sides {
		if peer := d.sides[1-i]; s.rcv.used != s.rcv.consumed || s.rcv.used != peer.snd.used || s.rcv.grown != 0 || len(s.streams) != 0 {
			d.t.Errorf("side %d: %d streams; credit used %d, consumed %d, grown %d; the peer sent %d", i, len(s.streams), s.rcv.used, s.rcv.consumed, s.rcv.grown, peer.snd.used)
		}
	}
	d.check()
}

func TestBothReset(t *testing.T) {
	d := onePath(t)
	near, far := d.open(client, 1000)
	put(near, 100_000)
	put(far, 100_000)
	d.poll(client, 0)
	d.poll(egress, 0)
	near.Reset(d.now, CodeReset)
	far.Reset(d.now, CodeReset)
	d.rest()
	d.wantRest(near, far)
}

func TestResetOfAStreamNobodyHeardOf(t *testing.T) {
	d := onePath(t)
	near, _ := d.sides[client].OpenStream(d.now)
	near.Reset(d.now, CodeReset)
	d.settle()
	far := d.sides[egress].streams[near.id]
	if far != nil {
		if _, code := far.ReadErr(); code != CodeReset {
			t.Errorf("ReadErr() = %v", code)
		}
	}
	d.rest()
	d.wantRest(near)
}

func TestResetAfterTheEndStopsTheOtherSide(t *testing.T) {
	d := onePath(t)
	near, far := d.open(client, 1000)
	near.CloseWrite(d.now)
	d.rest()
	near.Reset(d.now, CodeReset)
	put(far, 1000)
	d.settle()
	take(t, d.now, far)
	if end, code := far.ReadErr(); !end || code != CodeNone || far.WriteErr() != CodeStopped {
		t.Errorf("the peer reads %v, %v and writes %v; want the end, and that nobody reads", end, code, far.WriteErr())
	}
	d.rest()
	d.wantRest(near, far)
}

// TestResetAfterStop: the sending direction is ending already because the peer stopped reading.
func TestResetAfterStop(t *testing.T) {
	hello := roomyHello
	hello.StreamCredit, hello.SessionCredit = 1000, 1000
	d := newDuo(t, hello)
	d.path(30*ms, 0)
	d.settle()
	near, far := d.open(client, 1)
	put(near, 5000)
	far.CloseRead(d.now)
	d.poll(egress, 0)
	if _, err := d.deliver(egress, 0, -1); err != nil {
		t.Fatal(err)
	}
	near.Reset(d.now, CodeReset)
	d.rest()
	if far.WriteErr() == CodeNone {
		t.Error("the peer may still write on a stream that was reset")
	}
	d.wantRest(near, far)
}

// TestCloseReadWithEverythingInFlight: the end is known, some of the octets before it are not there.
func TestCloseReadWithEverythingInFlight(t *testing.T) {
	d := twoPaths(t)
	near, far := d.open(client, 100)
	d.rest()
	d.known(2e6, 0, 1)
	put(near, 5000)
	d.poll(client, 0)
	put(near, 1000)
	near.CloseWrite(d.now)
	d.poll(client, 1)
	if _, err := d.deliver(client, 1, -1); err != nil {
		t.Fatal(err)
	}
	far.CloseRead(d.now)
	far.CloseWrite(d.now)
	if got := far.s.rcv; got.used != got.consumed {
		t.Errorf("credit: used %d, consumed %d", got.used, got.consumed)
	}
	if !far.finArrived() {
		t.Error("nobody reads and the end is known, yet it is waited for")
	}
	d.wires[0][client] = nil
	d.sides[client].RemoveSubflow(d.now, d.paths[0][client])
	d.sides[egress].RemoveSubflow(d.now, d.paths[0][egress])
	d.rest()
	if !near.Finished() || !far.Finished() {
		t.Errorf("the streams are %s and %s", near.State(), far.State())
	}
}

func TestAbandon(t *testing.T) {
	hello := roomyHello
	hello.StreamCredit = 1000
	d := newDuo(t, hello)
	d.path(30*ms, 0)
	d.settle()
	near, far := d.open(client, 1000)
	put(near, 5000)
	near.CloseWrite(d.now)
	near.CloseRead(d.now)
	d.rest()
	if out, _ := near.Buffered(); out != 5000 {
		t.Fatalf("%d octets wait, want 5000", out)
	}
	near.Abandon(d.now)
	d.rest()
	take(t, d.now, far)
	if _, code := far.ReadErr(); code != CodeReset {
		t.Errorf("the peer's ReadErr() = %v", code)
	}
	far.CloseWrite(d.now)
	d.rest()
	d.wantRest(near, far)
}

// TestGoneOfALiveStream: a peer that lost its memory, or lies.
func TestGoneOfALiveStream(t *testing.T) {
	d := onePath(t)
	near, _ := d.open(client, 100)
	put(near, 1000)
	near.WantWritable()
	near.s.handleGone(d.now, near)
	if _, code := near.ReadErr(); near.WriteErr() != CodeGone || code != CodeGone || !near.Finished() {
		t.Errorf("after Gone: WriteErr() = %v, ReadErr() = %v", near.WriteErr(), code)
	}
	if near.Room() != 0 || near.s.snd.unsent != 0 || near.s.snd.buffered != 0 {
		t.Error("what was to be sent is kept")
	}
	near.CloseWrite(d.now)
	near.CloseRead(d.now)
	near.Reset(d.now, CodeReset)
	d.check()
}

func TestReadingAfterTheStreamIsGone(t *testing.T) {
	d := onePath(t)
	near, far := d.open(client, 1000)
	near.CloseWrite(d.now)
	far.CloseWrite(d.now)
	d.rest()
	if !far.Finished() {
		t.Fatalf("the stream is %s", far.State())
	}
	if got := take(t, d.now, far); got != 1000 {
		t.Errorf("read %d octets, want 1000", got)
	}
	if end, code := far.ReadErr(); !end || code != CodeNone {
		t.Errorf("ReadErr() = %v, %v", end, code)
	}
	d.wantRest(near, far)
}

func TestCodeString(t *testing.T) {
	for c, want := range map[Code]string{CodeReset: "reset by the application", CodeStopped: "reader gone", CodeGone: "stream unknown to the peer", CodeSession: "session ended", 77: "code 77"} {
		if got := c.String(); got != want {
			t.Errorf("Code(%d).String() = %q, want %q", c, got, want)
		}
	}
}

package proto

import (
	"errors"
	"slices"
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
)

func TestStreamLimit(t *testing.T) {
	hello := roomyHello
	hello.MaxStreams = 4
	d := newDuo(t, hello)
	d.path(30*ms, 0)
	d.settle()
	var near, far []*Stream
	for range 4 {
		n, f := d.open(client, 10)
		near, far = append(near, n), append(far, f)
	}
	if _, err := d.sides[client].OpenStream(d.now); !errors.Is(err, ErrStreamLimit) {
		t.Fatalf("OpenStream beyond the limit: %v, want %v", err, ErrStreamLimit)
	}
	// The other side has its own.
	if st, err := d.sides[egress].OpenStream(d.now); err != nil || st.ID() != 1 {
		t.Fatalf("OpenStream of the egress: %v", err)
	}
	for i := range 2 {
		near[i].CloseWrite(d.now)
		far[i].CloseWrite(d.now)
	}
	d.settle()
	for i := range 2 {
		if st, err := d.sides[client].OpenStream(d.now); err != nil || st.ID() != StreamID(8+2*i) {
			t.Errorf("OpenStream after two have closed: %v", err)
		}
	}
	if _, err := d.sides[client].OpenStream(d.now); !errors.Is(err, ErrStreamLimit) {
		t.Errorf("OpenStream beyond the limit: %v, want %v", err, ErrStreamLimit)
	}
}

// TestRoom fills a stream's send buffer: the application is told when there is room again.
func TestRoom(t *testing.T) {
	d := onePath(t)
	near, far := d.open(client, 1)
	if got := near.Room(); got != minSendBuffer-1 { // one octet is not acknowledged yet
		t.Fatalf("Room() = %d, want %d", got, minSendBuffer-1)
	}
	for near.Room() > 0 {
		put(near, min(near.Room(), 16<<10))
	}
	near.WantWritable()
	d.events(client)
	if d.settle(); slices.Contains(d.events(client), "writable stream 0") != (near.Room() > 0) || near.Room() == 0 {
		t.Errorf("Room() = %d after the peer took all: no event", near.Room())
	}
	take(t, d.now, far)
	near.Reset(d.now, CodeReset)
	if got := near.Room(); got != 0 {
		t.Errorf("Room() of a reset stream = %d", got)
	}
}

// TestRoomIsSharedOut: once all streams together hold too much, each gets only a little.
func TestRoomIsSharedOut(t *testing.T) {
	d := newDuo(t, roomyHello, func(c *Config) { c.SendBuffer = 300 << 10 })
	a, _ := d.sides[client].OpenStream(d.now)
	b, _ := d.sides[client].OpenStream(d.now)
	put(a, minSendBuffer)
	if got := b.Room(); got != minSendBuffer {
		t.Errorf("Room() below the bound = %d, want %d", got, minSendBuffer)
	}
	put(b, 50<<10)
	if got := b.Room(); got != lowSendBuffer-50<<10 {
		t.Errorf("Room() above the bound = %d, want %d", got, lowSendBuffer-50<<10)
	}
}

// TestWindowGrowsWithItsReader reads within two round trips of each grant.
func TestWindowGrowsWithItsReader(t *testing.T) {
	hello := roomyHello
	hello.StreamCredit, hello.SessionCredit = 10_000, 200_000
	d := newDuo(t, hello, func(c *Config) { c.MaxWindow = 60_000 })
	d.path(30*ms, 0)
	d.settle()
	near, far := d.open(client, 1)
	limit, windows := far.in.limit, []int{far.in.window}
	for range 60 {
		if n := near.Room(); n > 0 {
			put(near, min(n, 16<<10))
		}
		d.now += 15 * ms
		d.settle()
		take(t, d.now, far)
		if far.in.limit.Before(limit) {
			t.Fatalf("the right edge went back by %d octets", limit.Sub(far.in.limit))
		}
		limit = far.in.limit
		if w := far.in.window; w != windows[len(windows)-1] {
			windows = append(windows, w)
		}
	}
	if want := []int{10_000, 40_000, 60_000}; !slices.Equal(windows, want) {
		t.Errorf("windows %v, want %v", windows, want)
	}
	if got := d.sides[egress].rcv.grown; got != 50_000 {
		t.Errorf("windows have grown by %d, counted %d", 50_000, got)
	}
	near.Reset(d.now, CodeReset)
	d.settle()
	take(t, d.now, far)
	d.rest()
	if got := d.sides[egress].rcv.grown; got != 0 || !far.gone {
		t.Errorf("grown %d after the stream's end, gone %v", got, far.gone)
	}
}

func TestWindowDoesNotGrowForASlowReader(t *testing.T) {
	hello := roomyHello
	hello.StreamCredit = 10_000
	d := newDuo(t, hello)
	d.path(30*ms, 0)
	d.settle()
	near, far := d.open(client, 1)
	for range 20 {
		put(near, min(near.Room(), 16<<10))
		d.now += 500 * ms
		d.settle()
		take(t, d.now, far)
	}
	if far.in.window != 10_000 {
		t.Errorf("the window of a reader that takes half a second a time has grown to %d", far.in.window)
	}
}

// TestGrowthIsBounded: all windows together grow by half the session's credit at most.
func TestGrowthIsBounded(t *testing.T) {
	hello := roomyHello
	hello.StreamCredit, hello.SessionCredit = 10_000, 100_000
	d := newDuo(t, hello, func(c *Config) { c.MaxWindow = 80_000 })
	d.path(30*ms, 0)
	d.settle()
	type pair struct{ near, far *Stream }
	var all []pair
	for range 4 {
		n, f := d.open(client, 1)
		all = append(all, pair{n, f})
	}
	for range 100 {
		for _, p := range all {
			put(p.near, min(p.near.Room(), 8<<10))
		}
		d.now += 10 * ms
		d.settle()
		for _, p := range all {
			take(t, d.now, p.far)
		}
	}
	if got := d.sides[egress].rcv.grown; got > 50_000 || got < 30_000 {
		t.Errorf("windows have grown by %d together, the session's credit is %d", got, hello.SessionCredit)
	}
}

// TestOldCreditIsIgnored: credit is told again and out of order.
func TestOldCreditIsIgnored(t *testing.T) {
	d := onePath(t)
	near, _ := d.open(client, 1)
	limit := near.out.limit
	s := d.sides[client]
	s.handleStreamCredit(near, limit.Add(-5000))
	s.handleSessionCredit(s.snd.limit - 1)
	if near.out.limit != limit || s.snd.limit != roomyHello.SessionCredit {
		t.Errorf("old credit moved the limits by %d and to %d", near.out.limit.Sub(limit), s.snd.limit)
	}
	s.handleStreamCredit(near, limit+1<<50) // nobody has that much
	if near.out.limit != limit {
		t.Errorf("absurd credit moved the limit by %d", near.out.limit.Sub(limit))
	}
}

// TestStalledReaderStopsOnlyItself: one stream is not read, another goes on for many windows.
func TestStalledReaderStopsOnlyItself(t *testing.T) {
	hello := roomyHello
	hello.StreamCredit, hello.SessionCredit = 10_000, 100_000
	d := newDuo(t, hello)
	d.path(30*ms, 0)
	d.settle()
	stalled, unread := d.open(client, 1)
	near, far := d.open(client, 1)
	got := 1
	for range 50 {
		for _, st := range []*Stream{stalled, near} {
			if n := min(st.Room(), 16<<10); n > 0 {
				put(st, n)
			}
		}
		d.now += 10 * ms
		d.settle()
		got += take(t, d.now, far)
	}
	if got < 200_000 {
		t.Errorf("the stream that is read got %d octets", got)
	}
	if _, in := unread.Buffered(); in != 10_000 || stalled.out.nxt != stalled.out.limit {
		t.Errorf("the stream that is not read holds %d octets", in)
	}
}

// TestCarriage leaves paths that make no difference out of the round trip.
func TestCarriage(t *testing.T) {
	d := twoPaths(t)
	s := d.sides[client]
	fast, slow := d.paths[0][client], d.paths[1][client]
	fast.rate.sample(d.now, 1e6, false)
	slow.rate.sample(d.now, 1e6, false)
	fast.srtt, slow.srtt = 30*ms, 400*ms
	fast.replan()
	slow.replan()
	if rate, rtt := s.carriage(); rate != 2e6 || rtt != 400*ms {
		t.Errorf("carriage() = %v, %v; want 2e6, 400ms", rate, rtt)
	}
	slow.rate = rateFilter{}
	slow.rate.sample(d.now, 1e4, false)
	slow.replan()
	if _, rtt := s.carriage(); rtt != 400*ms {
		t.Errorf("carriage() with a path whose rate is being found: round trip %v, want 400ms", rtt)
	}
	slow.ramping = false
	if _, rtt := s.carriage(); rtt != 30*ms {
		t.Errorf("carriage() with a path of a hundredth: round trip %v, want 30ms", rtt)
	}
}

func TestFillSharesABuffer(t *testing.T) {
	d := onePath(t)
	st, _ := d.sides[client].OpenStream(d.now)
	st.Append(bufpool.Get(10))
	for range 20 {
		if n := st.Fill(make([]byte, 10)); n != 10 {
			t.Fatalf("Fill took %d of 10", n)
		}
	}
	if out, _ := st.Buffered(); out != 210 || st.out.buf.chunks.Len() != 1 {
		t.Errorf("%d octets in %d buffers", out, st.out.buf.chunks.Len())
	}
	d.check()
}

// TestNoTinySessionCredit has one stream hold nearly all of the session's credit unread, and an octet at a time taken from another: new credit is told when it
// is worth a record, or after a moment, and the other stream goes on either way.
func TestNoTinySessionCredit(t *testing.T) {
	hello := roomyHello
	hello.SessionCredit = 256 << 10
	d := newDuo(t, hello)
	d.path(30*ms, 0)
	d.settle()
	near, far := d.open(client, 1)
	other, read := d.open(client, 1)
	put(near, 256<<10-100)
	d.settle()
	put(other, 98) // all that is left
	d.settle()
	e := d.sides[egress]
	if e.rcv.used != e.rcv.limit {
		t.Fatalf("%d octets of credit are left, want none", e.rcv.limit-e.rcv.used)
	}
	put(other, 500)
	before, told := e.rcv.limit, 0
	buf := read.Next()
	for range buf.B {
		e.consume(d.now, read, read.in.consumed.Add(1))
		if e.ctl.sessionCredit {
			told++
			e.ctl.sessionCredit = false
		}
	}
	if told != 0 || e.Deadline() == 0 || e.Deadline() > d.now+ackDelay {
		t.Errorf("credit was told %d times for %d octets taken one by one, next look in %v; want none, and one within %v", told, len(buf.B), e.Deadline()-d.now, ackDelay)
	}
	d.wait(ackDelay)
	if got := e.rcv.limit - before; got != uint64(len(buf.B)) || !e.ctl.sessionCredit {
		t.Errorf("%d octets of credit after a moment, want %d", got, len(buf.B))
	}
	for range 100 { // it does not stall
		d.rest()
		take(t, d.now, read)
	}
	if n := other.unsent(); n != 0 {
		t.Errorf("%d octets of the stream that is read wait for ever", n)
	}
	// What is worth a record is told at once.
	take(t, d.now, far)
	if !e.ctl.sessionCredit {
		t.Errorf("no credit told after %d octets were taken", 256<<10)
	}
}

// TestDrop forgets a stream that the peer does not end: the peer hears of it, and what it still sends is answered by Gone.
func TestDrop(t *testing.T) {
	d := onePath(t)
	near, far := d.open(client, 1000)
	put(near, 5000)
	put(far, 3000)
	d.poll(client, 0) // under way
	far.Drop(d.now)
	far.Drop(d.now)
	if n := d.sides[egress].NumStreams(); n != 0 || !far.Finished() || far.WriteErr() != CodeReset {
		t.Fatalf("%d streams, finished %v, %v", n, far.Finished(), far.WriteErr())
	}
	d.settle()
	if n := d.sides[client].NumStreams(); n != 0 || near.WriteErr() != CodeGone {
		t.Errorf("the peer has %d streams, writing to its end: %v, want %v", n, near.WriteErr(), CodeGone)
	}
	if _, code := near.ReadErr(); code != CodeGone {
		t.Errorf("reading the peer's end: %v, want %v", code, CodeGone)
	}
}

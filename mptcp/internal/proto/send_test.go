package proto

import (
	"strings"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
)

// order returns the streams of records, in the order of sending.
func order(d *duo, side int, recs [][]byte) (ids []string) {
	for _, rec := range recs {
		text := d.text(side, rec)
		if i := strings.Index(text, "dsn="); i >= 0 {
			text = text[:i]
			id := text[strings.LastIndex(text, "stream("):]
			ids = append(ids, id[:strings.Index(id, ")")+1])
		}
	}
	return ids
}

// putOld puts n octets into a stream that has had something waiting for long.
func putOld(st *Stream, n int) {
	put(st, n)
	st.out.spell = youngOctets
}

// TestYoungStreamsGoFirst: a click is never behind a download.
func TestYoungStreamsGoFirst(t *testing.T) {
	d := onePath(t)
	download, _ := d.open(client, 10)
	d.rest()
	d.known(2e6, 0)
	putOld(download, 100_000)
	click, _ := d.sides[client].OpenStream(d.now)
	put(click, 1000)
	if ids := order(d, client, d.poll(client, 0)); len(ids) < 2 || ids[0] != "stream(2)" {
		t.Errorf("order %v, want the young stream first", ids)
	}
}

// TestAskingInTurnKeepsAStreamYoung: a conversation has sent more than a download in the end, and yet goes first.
func TestAskingInTurnKeepsAStreamYoung(t *testing.T) {
	d := onePath(t)
	talk, _ := d.open(client, 10)
	for range 2 * youngOctets / 10_000 {
		put(talk, 10_000)
		d.rest()
	}
	download, _ := d.open(client, 10)
	d.rest()
	d.known(2e6, 0)
	putOld(download, 100_000)
	put(talk, 10_000)
	if ids := order(d, client, d.poll(client, 0)); len(ids) < 2 || ids[0] != "stream(0)" {
		t.Errorf("order %v, want the conversation first", ids)
	}
}

// TestOldStreamsShare: two downloads get about the same.
func TestOldStreamsShare(t *testing.T) {
	d := onePath(t)
	var near [2]*Stream
	for i := range near {
		near[i], _ = d.open(client, youngOctets+1)
	}
	d.rest()
	d.known(20e6, 0)
	for _, st := range near {
		putOld(st, 150_000)
	}
	var sent [2]int
	start := [2]int{near[0].out.spell, near[1].out.spell}
	d.poll(client, 0)
	for i, st := range near {
		sent[i] = st.out.spell - start[i]
	}
	if diff := sent[0] - sent[1]; diff > 2*quantum || diff < -2*quantum || sent[0] == 0 {
		t.Errorf("sent %v octets", sent)
	}
	d.settle()
}

// TestBothCreditsHold: no octet goes out that the peer has not granted, and the end needs no credit.
func TestBothCreditsHold(t *testing.T) {
	hello := roomyHello
	hello.StreamCredit, hello.SessionCredit = 1000, 2500
	d := newDuo(t, hello)
	d.path(30*ms, 0)
	d.settle()
	var near []*Stream
	for range 4 {
		st, _ := d.sides[client].OpenStream(d.now)
		put(st, 1000)
		st.CloseWrite(d.now)
		near = append(near, st)
	}
	d.settle()
	total := 0
	for _, st := range near {
		total += st.out.spell
	}
	if total != 2500 || d.sides[client].snd.used != 2500 {
		t.Errorf("%d octets sent, %d counted, the session's credit is 2500", total, d.sides[client].snd.used)
	}
	if !near[0].out.finSent || near[3].out.finSent {
		t.Errorf("ends sent: %v, %v; want the first, not the last", near[0].out.finSent, near[3].out.finSent)
	}
}

// TestEndRidesWithTheLastOctets, and alone if those have gone.
func TestEndRidesWithTheLastOctets(t *testing.T) {
	d := onePath(t)
	near, _ := d.sides[client].OpenStream(d.now)
	put(near, 10)
	near.CloseWrite(d.now)
	if recs := d.poll(client, 0); len(recs) != 1 || !strings.Contains(d.text(client, recs[0]), "len=11 fin") {
		t.Errorf("%d records for 10 octets and the end", len(recs))
	}
	other, _ := d.open(client, 10)
	other.CloseWrite(d.now)
	if recs := d.poll(client, 0); len(recs) != 1 || !strings.Contains(d.text(client, recs[0]), "dsn=10 ssn=0 len=1 fin") {
		t.Errorf("%d records for the end alone", len(recs))
	}
	d.settle()
}

// TestPiecesAreBounded: an application that writes an octet at a time while nothing is acknowledged.
func TestPiecesAreBounded(t *testing.T) {
	d := onePath(t)
	near, _ := d.open(client, 1)
	d.known(1e9, 0)
	for range 2 * maxPieces {
		put(near, 1)
		d.poll(client, 0)
	}
	if n := near.out.flight.q.Len(); n != maxPieces {
		t.Errorf("%d pieces in flight, want %d", n, maxPieces)
	}
	if n := len(d.poll(client, 0)); n != 0 {
		t.Errorf("%d more records", n)
	}
	d.settle()
	if near.unsent() != 0 {
		t.Errorf("%d octets are still unsent after the acknowledgements", near.unsent())
	}
}

// TestReportGivesTheRoundTrip: the time between a record and its report, less what the peer waited.
func TestReportGivesTheRoundTrip(t *testing.T) {
	d := onePath(t)
	d.rest()
	near, _ := d.sides[client].OpenStream(d.now)
	sf := d.paths[0][client]
	for range 40 {
		d.now += time.Second
		put(near, 10)
		d.poll(client, 0)
		d.now += 50 * ms
		if _, err := d.deliver(client, 0, -1); err != nil {
			t.Fatal(err)
		}
		d.wait(ackDelay)
		// A record that wants no answer comes meanwhile: it does not count.
		if err := d.give(egress, 0, wire.Status{AddrID: 9}.Append(nil), nil); err != nil {
			t.Fatal(err)
		}
		sf.out.records++
		d.poll(egress, 0)
		d.now += 50 * ms
		if _, err := d.deliver(egress, 0, -1); err != nil {
			t.Fatal(err)
		}
	}
	if sf.srtt < 98*ms || sf.srtt > 102*ms {
		t.Errorf("srtt = %v, want 100ms", sf.srtt)
	}
}

// TestReportedRangesAreNotSentAgain: what the peer holds above its DATA_ACK is safe when a path dies.
func TestReportedRangesAreNotSentAgain(t *testing.T) {
	d := twoPaths(t)
	near, _ := d.open(client, 100)
	d.rest()
	d.known(2e6, 0, 1)
	put(near, 4000)
	d.poll(client, 0)
	put(near, 40_000)
	d.poll(client, 1)
	if near.out.flight.q.Len() < 3 {
		t.Fatalf("%d pieces", near.out.flight.q.Len())
	}
	if _, err := d.deliver(client, 1, -1); err != nil {
		t.Fatal(err)
	}
	recs := d.poll(egress, 1)
	if !strings.Contains(d.text(egress, recs[0]), "ranges(4100+") {
		t.Errorf("the first record of the answer: %s", d.text(egress, recs[0]))
	}
	if _, err := d.deliver(egress, 1, -1); err != nil {
		t.Fatal(err)
	}
	d.sides[client].RemoveSubflow(d.now, d.paths[0][client])
	if n := near.out.flight.wants; n != 1 {
		t.Errorf("%d pieces are to be sent again, want the one that was lost", n)
	}
}

// TestRecordsFillSegments: of a stream with more to send no record leaves a rest for a segment of its own, whatever else is in it.
func TestRecordsFillSegments(t *testing.T) {
	for name, tc := range map[string]struct {
		segment int
		rate    float64
	}{
		"a slow path":      {1448, 100e3},
		"records of some":  {1448, 1e6},
		"the longest":      {1448, 50e6},
		"a tunnel":         {1228, 100e3},
		"a small packet":   {536, 100e3},
		"jumbo frames":     {8948, 50e6},
		"this very host":   {65483, 50e6},
		"nobody can tell":  {0, 1e6},
		"beyond one":       {1500, 100e3},
		"longer than most": {16000, 50e6},
	} {
		t.Run(name, func(t *testing.T) {
			d := onePath(t)
			st, _ := d.open(client, 10)
			d.rest()
			sf := d.paths[0][client]
			d.sides[client].HandleInfo(d.now, sf, PathInfo{Segment: tc.segment})
			d.known(tc.rate, 0)
			const all = 200_000
			put(st, all)
			recs, sum := d.poll(client, 0), 0
			if len(recs) < 2 {
				t.Fatalf("%d records", len(recs))
			}
			for i, rec := range recs {
				h, err := wire.ParseHeader(rec)
				if err != nil {
					t.Fatal(err)
				}
				sum += h.PayloadLen
				full := tc.segment == 0 || len(rec)+sealOctets < tc.segment || (len(rec)+sealOctets)%tc.segment == 0
				if last := sum == all; !full && !last || len(rec) > sealMost {
					t.Errorf("record %d of %d octets, which TLS makes %d, in segments of %d", i, len(rec), len(rec)+sealOctets, tc.segment)
				}
			}
		})
	}
}

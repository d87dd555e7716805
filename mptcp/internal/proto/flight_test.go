package proto

import (
	"math/rand/v2"
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/internal/seq"
)

// slowFlight is what flight should be: it knows of each octet by itself.
type slowFlight struct {
	una    int
	octets []slowOctet
}

type slowOctet struct {
	arrived, want bool
	on, tried     slotMask
}

// flightRecord is a record on its way: a range that was whole pieces when it was sent.
type flightRecord struct {
	start, end int
	slot       slotMask
}

type flightPlay struct {
	t     *testing.T
	rng   *rand.Rand
	f     flight
	total int
	slow  slowFlight
	recs  []flightRecord
}

// TestFlight does the same to a flight and to octets: pieces sent, sent again whole or cut, reported, acknowledged, silent and lost.
func TestFlight(t *testing.T) {
	for seed := range uint64(400) {
		p := &flightPlay{t: t, rng: rand.New(rand.NewPCG(seed, 4))}
		p.f.total = &p.total
		for range 150 {
			p.step()
			p.compare()
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		if p.f.clear(); p.total != 0 || p.f.wants != 0 || p.f.q.Len() != 0 {
			t.Fatalf("seed %d: after clear: %d pieces, %d wanted, %d in all", seed, p.f.q.Len(), p.f.wants, p.total)
		}
	}
}

func (p *flightPlay) step() {
	f, rng := &p.f, p.rng
	slot := slotMask(1) << rng.IntN(3)
	switch op := rng.IntN(10); {
	case op < 3 || f.q.Len() == 0: // new octets
		n := 1 + rng.IntN(40)
		at := len(p.slow.octets)
		f.q.Push(piece{start: seq.DSN(at), n: int32(n), on: slot, tried: slot})
		for range n {
			p.slow.octets = append(p.slow.octets, slowOctet{on: slot, tried: slot})
		}
		p.recs = append(p.recs, flightRecord{at, at + n, slot})
	case op < 5: // again on another subflow
		i := rng.IntN(f.q.Len())
		if f.q.At(i).tried&slot != 0 || f.q.At(i).arrived {
			return
		}
		q := f.cut(i, 1+rng.IntN(30))
		f.setWant(q, false)
		q.on, q.tried = q.on|slot, q.tried|slot
		p.each(int(q.start), int(q.end()), func(o *slowOctet) { o.want, o.on, o.tried = false, o.on|slot, o.tried|slot })
		p.recs = append(p.recs, flightRecord{int(q.start), int(q.end()), slot})
	case op < 6: // an acknowledgement, maybe inside a piece
		ack := p.slow.una + rng.IntN(len(p.slow.octets)-p.slow.una+1)
		f.ack(seq.DSN(ack))
		p.slow.una = ack
	case op < 8: // a record is reported
		if len(p.recs) > 0 {
			i := rng.IntN(len(p.recs))
			r := p.recs[i]
			p.recs = append(p.recs[:i], p.recs[i+1:]...)
			f.arrived(seq.DSN(r.start), seq.DSN(r.end))
			p.each(r.start, r.end, func(o *slowOctet) { o.arrived, o.want = true, false })
		}
	case op < 9:
		p.silence(slot)
	default:
		p.lose(slot)
	}
}

// each calls fn for the octets that are not acknowledged.
func (p *flightPlay) each(start, end int, fn func(*slowOctet)) {
	for i := max(start, p.slow.una); i < end; i++ {
		fn(&p.slow.octets[i])
	}
}

func (p *flightPlay) silence(slot slotMask) {
	other := slotMask(p.rng.IntN(8)) &^ slot
	back := p.rng.IntN(3) == 0
	for _, r := range p.recs {
		if r.slot == slot && back { // it was silent, and answers again
			p.f.unsilence(seq.DSN(r.start), seq.DSN(r.end), slot)
			p.each(r.start, r.end, func(o *slowOctet) { o.want = o.want && o.on&slot == 0 })
		} else if r.slot == slot {
			p.f.silence(seq.DSN(r.start), seq.DSN(r.end), slot, other)
			p.each(r.start, r.end, func(o *slowOctet) {
				o.want = o.want || !o.arrived && o.on&slot != 0 && o.on&other == 0
			})
		}
	}
}

func (p *flightPlay) lose(slot slotMask) {
	other := slotMask(p.rng.IntN(8)) &^ slot
	left := p.recs[:0]
	for _, r := range p.recs {
		if r.slot != slot {
			left = append(left, r)
			continue
		}
		p.f.lose(seq.DSN(r.start), seq.DSN(r.end), slot, other)
		p.each(r.start, r.end, func(o *slowOctet) {
			o.on, o.tried = o.on&^slot, o.tried&^slot
			o.want = o.want || !o.arrived && o.on&other == 0
		})
	}
	p.recs = left
}

func (p *flightPlay) compare() {
	p.t.Helper()
	at, wants := p.slow.una, 0
	for i := range p.f.q.Len() {
		q := p.f.q.At(i)
		if int(q.start) != at || q.n <= 0 {
			p.t.Errorf("piece %d at %d with %d octets, want it at %d", i, q.start, q.n, at)
			return
		}
		if q.want {
			wants++
		}
		for ; at < int(q.end()); at++ {
			if got, want := (slowOctet{q.arrived, q.want, q.on, q.tried}), p.slow.octets[at]; got != want {
				p.t.Errorf("octet %d: %+v, want %+v", at, got, want)
				return
			}
		}
	}
	if at != len(p.slow.octets) || wants != p.f.wants || wants != p.total {
		p.t.Errorf("pieces end at %d, want %d; %d wanted, counted %d and %d", at, len(p.slow.octets), wants, p.f.wants, p.total)
	}
}

// TestArrivedInAnyOrder marks ranges, many of them twice, while pieces are acknowledged and cut, beside a list that says the same.
func TestArrivedInAnyOrder(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 4))
		f, total := flight{total: new(int)}, 0
		arrived := make([]bool, 300) // by octet
		acked := 0
		for step := range 150 {
			for total < len(arrived) && rng.IntN(3) > 0 {
				n := 1 + rng.IntN(min(6, len(arrived)-total))
				f.q.Push(piece{start: seq.DSN(total), n: int32(n)})
				total += n
			}
			switch rng.IntN(8) {
			case 0:
				acked = min(total, acked+rng.IntN(8))
				f.ack(seq.DSN(acked))
			case 1:
				if n := f.q.Len(); n > 0 {
					f.cut(rng.IntN(n), 1+rng.IntN(3))
				}
			default:
				from := acked + rng.IntN(total-acked+1)
				to := from + rng.IntN(total-from+1)
				for i := range f.q.Len() {
					if p := f.q.At(i); !p.start.Before(seq.DSN(from)) && !p.end().After(seq.DSN(to)) {
						for at := p.start; at != p.end(); at++ {
							arrived[at] = true
						}
					}
				}
				f.arrived(seq.DSN(from), seq.DSN(to))
			}
			for i := range f.q.Len() {
				p := f.q.At(i)
				if p.arrived != arrived[p.start] || p.run > 0 && i+int(p.run) > f.q.Len() {
					t.Fatalf("seed %d, step %d: piece %d of %d: %+v, want arrived %v", seed, step, i, f.q.Len(), *p, arrived[p.start])
				}
				for j := range int(p.run) {
					if !f.q.At(i + j).arrived {
						t.Fatalf("seed %d, step %d: piece %d says %d in a row have arrived, the %dth has not", seed, step, i, p.run, j)
					}
				}
			}
		}
	}
}

// TestRangesSaidAgain counts nothing but results: what was said of thousands of pieces, said again from any of them on, finds them all marked.
func TestRangesSaidAgain(t *testing.T) {
	f := flight{total: new(int)}
	for i := range maxPieces {
		f.q.Push(piece{start: seq.DSN(i), n: 1})
	}
	f.arrived(0, maxPieces)
	for i := range maxPieces {
		if p := f.q.At(i); !p.arrived || int(p.run) != maxPieces-i {
			t.Fatalf("piece %d: %+v, want arrived with all %d to the end", i, *p, maxPieces-i)
		}
	}
}

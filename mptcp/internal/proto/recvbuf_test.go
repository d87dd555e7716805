package proto

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
	"github.com/mpsocks/mpsocks/mptcp/internal/seq"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

// slowRecvBuf is what recvBuf should be: an octet at a time, the first copy kept.
type slowRecvBuf struct {
	octets []byte
	have   []bool
	next   int // of what was received in order
	read   int
}

func (s *slowRecvBuf) insert(at int, p []byte) {
	for i, c := range p {
		for len(s.octets) <= at+i {
			s.octets, s.have = append(s.octets, 0), append(s.have, false)
		}
		if !s.have[at+i] {
			s.octets[at+i], s.have[at+i] = c, true
		}
	}
	for s.next < len(s.have) && s.have[s.next] {
		s.next++
	}
}

// islands lists what lies beyond the first gap.
func (s *slowRecvBuf) islands() (list []seq.Range) {
	for i := s.next; i < len(s.have); i++ {
		if !s.have[i] {
			continue
		}
		if n := len(list); n > 0 && list[n-1].End == seq.DSN(i) {
			list[n-1].End++
		} else {
			list = append(list, seq.Range{Start: seq.DSN(i), End: seq.DSN(i + 1)})
		}
	}
	return list
}

// playRecvBuf does to both what the instructions say: where, how much and what to insert, and when to read.
func playRecvBuf(t *testing.T, first seq.DSN, instructions []byte) {
	t.Helper()
	var slow slowRecvBuf
	all := holding{limit: limitFor(1 << 20)}
	r := recvBuf{next: first, highest: first, all: &all}
	r.held.Seed(1)
	for step := 0; len(instructions) >= 4; step++ {
		at, n, what := int(instructions[0])<<3|int(instructions[1]&7), int(instructions[1]>>3)*int(instructions[2]&31)+1, instructions[3]
		read := instructions[2]&0x80 != 0
		instructions = instructions[4:]
		buf := bufpool.Get(n)
		for i := range buf.B {
			buf.B[i] = what + byte(i)
		}
		was := slow.next
		slow.insert(at, buf.B)
		advanced, err := r.insert(first.Add(at), buf)
		if err != nil || advanced != (slow.next > was) {
			t.Fatalf("step %d: insert(%d, %d octets) = %v, %v; want %v", step, at, n, advanced, err, slow.next > was)
		}
		compareRecvBuf(t, step, first, &r, &slow)
		if read {
			readRecvBuf(t, step, &r, &slow)
		}
		if err := checkHolding(&r, all); err != "" {
			t.Fatalf("step %d: %s", step, err)
		}
	}
	readRecvBuf(t, -1, &r, &slow)
	if r.drop(); r.readyN != 0 || r.heldN != 0 || all.islands != 0 || all.memory != 0 || r.runs.Len() != 0 {
		t.Fatalf("after drop: ready %d, held %d, islands %d in %d octets, runs %d", r.readyN, r.heldN, all.islands, all.memory, r.runs.Len())
	}
}

func compareRecvBuf(t *testing.T, step int, first seq.DSN, r *recvBuf, slow *slowRecvBuf) {
	t.Helper()
	if got := r.next.Sub(first); got != slow.next || r.readyN != slow.next-slow.read || r.highest.Sub(first) != len(slow.have) {
		t.Fatalf("step %d: next %d, ready %d, highest %d; want %d, %d, %d", step, got, r.readyN, r.highest.Sub(first), slow.next, slow.next-slow.read, len(slow.have))
	}
	held, l := 0, r.ranges()
	for i, want := range slow.islands() {
		held += want.Len()
		if i < len(l.Start) && (i >= l.N || seq.DSN(l.Start[i]) != first+want.Start || int(l.Length[i]) != want.Len()) {
			t.Fatalf("step %d: ranges() = %+v, want the %dth %d+%d", step, l, i, first+want.Start, want.Len())
		}
	}
	if held != r.heldN {
		t.Fatalf("step %d: held %d, want %d", step, r.heldN, held)
	}
}

func readRecvBuf(t *testing.T, step int, r *recvBuf, slow *slowRecvBuf) {
	t.Helper()
	var got []byte
	for b := r.pop(); b != nil; b = r.pop() {
		got = append(got, b.B...)
		b.Free()
	}
	if want := slow.octets[slow.read:slow.next]; !bytes.Equal(got, want) {
		t.Fatalf("step %d: read %x, want %x", step, got, want)
	}
	slow.read = slow.next
}

func TestRecvBuf(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 2))
		instructions := make([]byte, 4*rng.IntN(80))
		for i := range instructions {
			instructions[i] = byte(rng.Uint32())
			if i%4 == 0 && seed%2 == 0 { // close together: much overlap
				instructions[i] %= 16
			}
		}
		playRecvBuf(t, ^seq.DSN(0)-500, instructions) // wraps round
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzRecvBuf(f *testing.F) {
	f.Add([]byte{0, 9, 1, 65, 2, 9, 1, 66, 1, 9, 1, 67})
	f.Add([]byte{3, 255, 0x9f, 1, 0, 255, 31, 2, 1, 8, 5, 3})
	f.Fuzz(func(t *testing.T, instructions []byte) {
		playRecvBuf(t, ^seq.DSN(0)-500, instructions[:min(len(instructions), 400)])
	})
}

// TestRecvBufBoundsIslands sends single octets with gaps between them.
func TestRecvBufBoundsIslands(t *testing.T) {
	all := holding{limit: limitFor(1 << 20)}
	r := recvBuf{all: &all}
	for i := range maxIslands {
		if _, err := r.insert(seq.DSN(2*i+1), bufpool.Get(1)); err != nil {
			t.Fatalf("island %d of %d: %v", i, maxIslands, err)
		}
	}
	_, err := r.insert(seq.DSN(2*maxIslands+1), bufpool.Get(1))
	wantSubflowError(t, err, 4)
	if r.heldN != maxIslands || all.islands != maxIslands {
		t.Errorf("holds %d octets in %d islands, want %d", r.heldN, all.islands, maxIslands)
	}
	// One that touches islands on both sides makes none.
	if _, err := r.insert(0, bufpool.Get(2)); err != nil || r.next != 2 {
		t.Errorf("the first gap filled: next %d, %v; want 2", r.next, err)
	}
}

// checkHolding recomputes what the islands of the only stream take.
func checkHolding(r *recvBuf, got holding) string {
	want := holding{limit: got.limit}
	runs, end := 0, seq.DSN(0)
	r.held.All(func(start seq.DSN, b *bufpool.Buf) bool {
		want.add(b)
		if want.islands == 1 || start != end {
			runs++
		}
		end = start.Add(len(b.B))
		return true
	})
	if got != want || runs != r.runs.Len() {
		return sprintf("islands counted as %+v, runs %d; want %+v, %d", got, r.runs.Len(), want, runs)
	}
	return ""
}

// TestIslandsOfOneOctet spreads octets over the windows of many streams: what they take in memory stays near the credit given, however few octets they are.
func TestIslandsOfOneOctet(t *testing.T) {
	for name, piece := range map[string]int{"one octet": 1, "just over a class": 257, "just over half a class": 8<<10 + 1} {
		hello := roomyHello
		hello.SessionCredit = 1 << 20
		d := newDuo(t, hello)
		d.path(30*ms, 0)
		err, fed := error(nil), 0
		for id := StreamID(0); err == nil && id < 200; id += 2 {
			for at := 1; err == nil && at+piece < 10_000; at += piece + 1 {
				err = d.feed(id, at, piece, false)
				fed++
			}
		}
		if piece == 1 {
			wantSubflowError(t, err, option.ReasonTooMuchData)
		} else if err != nil {
			t.Errorf("pieces of %s: %v after %d, all within the credit", name, err, fed)
		}
		if h := d.sides[egress].rcv.held; h.memory > h.limit+1024 || h.limit > 6<<20 || fed < 50 {
			t.Errorf("pieces of %s: %d octets of memory after %d of them, %d for 1 MiB of credit", name, h.memory, fed, h.limit)
		}
		d.check()
		for d.sides[egress].all.first != nil { // all of it comes back
			d.sides[egress].all.first.Reset(d.now, CodeReset)
			d.sides[egress].handleGone(d.now, d.sides[egress].all.first)
		}
		if h := d.sides[egress].rcv.held; h.memory != 0 || h.islands != 0 {
			t.Errorf("pieces of %s: %d octets of memory in %d islands after the end", name, h.memory, h.islands)
		}
	}
}

// TestCutIslandsKeepSmallBuffers has each piece overlap what is there but for one octet: that octet must not keep the piece's buffer.
func TestCutIslandsKeepSmallBuffers(t *testing.T) {
	all := holding{limit: limitFor(1 << 20)}
	r := recvBuf{all: &all}
	const large = 64 << 10 // fills its buffer: there is no room for the next octet
	for i := range 50 {
		if _, err := r.insert(seq.DSN(1+i), bufpool.Get(large)); err != nil {
			t.Fatal(err)
		}
	}
	if want := 64<<10 + 50*(bufpool.Least+islandCost); all.memory > want {
		t.Errorf("%d octets in islands take %d octets of memory, want %d at most", r.heldN, all.memory, want)
	}
}

// TestRecvBufSharesBuffers counts what an octet a record costs until it is read.
func TestRecvBufSharesBuffers(t *testing.T) {
	r := recvBuf{all: new(holding)}
	for i := range 10_000 {
		if _, err := r.insert(seq.DSN(i), bufpool.Get(1)); err != nil {
			t.Fatal(err)
		}
	}
	cost := 0
	for i := range r.ready.Len() {
		cost += (*r.ready.At(i)).Cap()
	}
	if cost > 2*10_000 {
		t.Errorf("10000 octets in as many records take %d octets of buffers", cost)
	}
}

package option

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// Fixed values for keys 0123456789abcdef: IDSN 570762cd38be9818.
func TestChecksum(t *testing.T) {
	const idsn = 0x570762cd38be9818
	if got := Checksum(idsn+1, 1, 5, []byte("hello")); got != 0x317b {
		t.Errorf("checksum of hello = %#04x, want 0x317b", got)
	}
	if got := Checksum(idsn+6, 0, 1, nil); got != 0x754d {
		t.Errorf("checksum of a DATA_FIN alone = %#04x, want 0x754d", got)
	}
}

// slowChecksum is the definition, word by word over the pseudo header.
func slowChecksum(dsn uint64, ssn uint32, length uint16, payload []byte) uint16 {
	b := binary.BigEndian.AppendUint64(nil, dsn)
	b = binary.BigEndian.AppendUint32(b, ssn)
	b = binary.BigEndian.AppendUint16(b, length)
	b = append(append(b, 0, 0), payload...)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	sum := uint32(0)
	for ; len(b) > 0; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func TestChecksumIsTheDefinition(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		payload := make([]byte, rnd.IntN(300))
		for i := range payload {
			payload[i] = uint8(rnd.Uint32() | rnd.Uint32()) // many ones, many carries
		}
		dsn, ssn, length := rnd.Uint64(), rnd.Uint32(), uint16(rnd.Uint32())
		want := slowChecksum(dsn, ssn, length, payload)
		if got := Checksum(dsn, ssn, length, payload); got != want {
			t.Fatalf("checksum of %d bytes = %#04x, want %#04x", len(payload), got, want)
		}
		s := NewSum(dsn, ssn, length)
		for rest := payload; len(rest) > 0; {
			n := min(rnd.IntN(20), len(rest))
			s.Add(rest[:n])
			rest = rest[n:]
		}
		if got := s.Checksum(); got != want || !s.Verify(want) || s.Verify(want^0x0100) {
			t.Fatalf("checksum of %d bytes in pieces = %#04x, want %#04x", len(payload), got, want)
		}
	}
}

func TestChecksumLargestMapping(t *testing.T) {
	payload := make([]byte, 0xffff)
	for i := range payload {
		payload[i] = 0xff
	}
	want := slowChecksum(^uint64(0), ^uint32(0), 0xffff, payload)
	if got := Checksum(^uint64(0), ^uint32(0), 0xffff, payload); got != want {
		t.Errorf("checksum of all ones = %#04x, want %#04x", got, want)
	}
}

// Zero has two forms in ones' complement; a peer may send either.
func TestVerifyTakesBothZeros(t *testing.T) {
	s := NewSum(0xffff, 0, 0)
	if got := s.Checksum(); got != 0 {
		t.Fatalf("checksum = %#04x, want 0", got)
	}
	if !s.Verify(0) || !s.Verify(0xffff) || s.Verify(1) {
		t.Error("verify takes 0 and 0xffff alone")
	}
}

func BenchmarkChecksum1400(b *testing.B) {
	payload := make([]byte, 1400)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		Checksum(1, 2, 1400, payload)
	}
}

package option

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestDSS(t *testing.T) {
	testCodec(t, ParseDSS, []example[DSS]{
		{"A", "1e 08 20 01 89abcdef", DSS{HasAck: true, DataACK: 0x89abcdef}},
		{"Aa", "1e 0c 20 03 0123456789abcdef", DSS{HasAck: true, Ack64: true, DataACK: 0x0123456789abcdef}},
		{"M", "1e 0e 20 04 89abcdef 00000001 05dc", DSS{HasMap: true, DSN: 0x89abcdef, SSN: 1, Length: 1500}},
		{"M checksum", "1e 10 20 04 89abcdef 00000001 05dc abcd", DSS{
			HasMap: true, DSN: 0x89abcdef, SSN: 1, Length: 1500, HasChecksum: true, Checksum: 0xabcd,
		}},
		{"Mm", "1e 12 20 0c 0123456789abcdef 00000001 05dc", DSS{
			HasMap: true, DSN64: true, DSN: 0x0123456789abcdef, SSN: 1, Length: 1500,
		}},
		{"AM", "1e 12 20 05 00000007 89abcdef 00000001 05dc", DSS{
			HasAck: true, DataACK: 7, HasMap: true, DSN: 0x89abcdef, SSN: 1, Length: 1500,
		}},
		{"AaM", "1e 16 20 07 0000000000000007 89abcdef 00000001 05dc", DSS{
			HasAck: true, Ack64: true, DataACK: 7, HasMap: true, DSN: 0x89abcdef, SSN: 1, Length: 1500,
		}},
		{"AaMm checksum", "1e 1c 20 0f 0000000000000007 0123456789abcdef 00000001 ffff 0000", DSS{
			HasAck: true, Ack64: true, DataACK: 7,
			HasMap: true, DSN64: true, DSN: 0x0123456789abcdef, SSN: 1, Length: 65535, HasChecksum: true,
		}},
		{"DATA_FIN alone", "1e 1a 20 1f 0000000000000007 0123456789abcdef 00000000 0001", DSS{
			HasAck: true, Ack64: true, DataACK: 7,
			HasMap: true, DSN64: true, DSN: 0x0123456789abcdef, Length: 1, DataFIN: true,
		}},
	})
}

// The width bits mean nothing without their fields, but are kept.
func TestDSSWidthBitsWithoutFields(t *testing.T) {
	testCodec(t, ParseDSS, []example[DSS]{
		{"m without M", "1e 08 20 09 89abcdef", DSS{HasAck: true, DataACK: 0x89abcdef, DSN64: true}},
		{"a without A", "1e 0e 20 06 89abcdef 00000001 05dc", DSS{
			Ack64: true, HasMap: true, DSN: 0x89abcdef, SSN: 1, Length: 1500,
		}},
		{"F without M", "1e 08 20 11 89abcdef", DSS{HasAck: true, DataACK: 0x89abcdef, DataFIN: true}},
		{"reserved", "1e 08 2a a1 89abcdef", DSS{Reserved: 0x55, HasAck: true, DataACK: 0x89abcdef}},
	})
}

func TestDSSRefusesLengths(t *testing.T) {
	testRefused(t, ParseDSS, ErrLength,
		"1e 03 20",
		"1e 04 20 00",
		"1e 04 20 10",
		"1e 06 20 00 0000",                      // a checksum needs a mapping
		"1e 0a 20 01 89abcdef 0000",             // the same
		"1e 08 20 03 89abcdef",                  // short for the width
		"1e 0f 20 04 89abcdef 00000001 05dc ab", // half a checksum
		"1e 12 20 04 89abcdef 00000001 05dc 0000 0000", // more than a checksum
	)
}

func TestDSSInfinite(t *testing.T) {
	if !(DSS{HasMap: true, DSN: 1, SSN: 1}).Infinite() {
		t.Error("mapping of length 0 is not infinite")
	}
	if (DSS{HasMap: true, Length: 1}).Infinite() || (DSS{HasAck: true}).Infinite() {
		t.Error("a mapping with length, or no mapping, is infinite")
	}
}

// TestDSSEveryFlagByte writes each of the 256 flag bytes with and without a
// checksum.
func TestDSSEveryFlagByte(t *testing.T) {
	for flags := range 256 {
		for _, checksum := range []bool{false, true} {
			d := DSS{
				Reserved: uint8(flags >> 5), HasAck: flags&1 != 0, Ack64: flags&2 != 0,
				HasMap: flags&4 != 0, DSN64: flags&8 != 0, DataFIN: flags&16 != 0,
			}
			if d.HasAck {
				d.DataACK = narrow(0x1122334455667788, d.Ack64)
			}
			if d.HasMap {
				d.DSN, d.SSN, d.Length = narrow(0x99aabbccddeeff00, d.DSN64), 0x01020304, 0x0506
				d.HasChecksum = checksum
			}
			b := d.Append(nil)
			if len(b) != d.Len() || b[3] != uint8(flags) {
				t.Errorf("append %+v = %x, len %d, flags %#x", d, b, d.Len(), flags)
			}
			got, err := ParseDSS(b)
			if empty := !d.HasAck && !d.HasMap; (err != nil) != empty {
				t.Errorf("parse %x = %v", b, err)
			} else if err == nil && got != d {
				t.Errorf("parse %x = %+v, want %+v", b, got, d)
			}
		}
	}
}

func narrow(seq uint64, wide bool) uint64 {
	if wide {
		return seq
	}
	return seq & 0xffffffff
}

func TestWiden(t *testing.T) {
	for _, tt := range []struct {
		low        uint32
		near, want uint64
	}{
		{5, 5, 5},
		{0, 0x1ffffffff, 0x200000000},
		{0xffffffff, 0x200000000, 0x1ffffffff},
		{0x10, 0xfffffff0_00000000, 0xfffffff0_00000010},
		{0x80000000, 0x100000000, 0x80000000},  // half the space away: the lower
		{0x7fffffff, 0x100000000, 0x17fffffff}, // one less: the higher
		{1, 0xffffffffffffffff, 1},             // the 64-bit space wraps as well
		{0xffffffff, 0, 0xffffffffffffffff},
	} {
		if got := Widen(tt.low, tt.near); got != tt.want {
			t.Errorf("Widen(%#x, %#x) = %#x, want %#x", tt.low, tt.near, got, tt.want)
		}
	}
}

func TestWidenFindsWhatIsNear(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 100000 {
		near := rnd.Uint64()
		want := near + uint64(int64(int32(rnd.Uint32())))
		if got := Widen(uint32(want), near); got != want {
			t.Fatalf("Widen(%#x, %#x) = %#x, want %#x", uint32(want), near, got, want)
		}
	}
}

var fullDSS = DSS{
	HasAck: true, Ack64: true, DataACK: 0x0123456789abcdef,
	HasMap: true, DSN64: true, DSN: 0xfedcba9876543210, SSN: 1, Length: 1400, HasChecksum: true, Checksum: 1,
}

// TestNoAllocations: what happens for every segment leaves nothing to collect.
func TestNoAllocations(t *testing.T) {
	area := append(fullDSS.Append([]byte{KindNOP, KindNOP, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0}), KindEOL)
	buf := make([]byte, 0, 64)
	allocs := testing.AllocsPerRun(100, func() {
		for rest := area; len(rest) > 0; {
			var raw Raw
			var err error
			if raw, rest, err = Next(rest); err != nil {
				t.Fatal(err)
			}
			if raw.Kind != Kind {
				continue
			}
			d, err := ParseDSS(raw.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if buf = d.Append(buf[:0]); !bytes.Equal(buf, raw.Bytes) {
				t.Fatalf("append = %x", buf)
			}
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a segment, want none", allocs)
	}
}

func BenchmarkParseDSS(b *testing.B) {
	wire := fullDSS.Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		if d, err := ParseDSS(wire); err != nil || d.SSN != 1 {
			b.Fatal(d, err)
		}
	}
}

func BenchmarkAppendDSS(b *testing.B) {
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		buf = fullDSS.Append(buf[:0])
	}
}

package option

import "testing"

func TestJoinSYN(t *testing.T) {
	testCodec(t, ParseJoinSYN, []example[JoinSYN]{
		{"plain", "1e 0c 10 07 deadbeef 11223344", JoinSYN{AddrID: 7, Token: 0xdeadbeef, Nonce: 0x11223344}},
		{"backup", "1e 0c 11 00 00000001 00000002", JoinSYN{Backup: true, Token: 1, Nonce: 2}},
		{"reserved", "1e 0c 1a 00 00000001 00000002", JoinSYN{Reserved: 5, Token: 1, Nonce: 2}},
	})
	testRefused(t, ParseJoinSYN, ErrLength,
		"1e 03 10",
		"1e 10 10 01 e79093d282224702 b52ff484",
		"1e 18 10 00 f15433a3ec9f218ebc265877c553503418345a37",
	)
}

func TestJoinSYNACK(t *testing.T) {
	testCodec(t, ParseJoinSYNACK, []example[JoinSYNACK]{
		{"plain", "1e 10 10 01 e79093d282224702 b52ff484", JoinSYNACK{
			AddrID: 1, HMAC: [8]byte{0xe7, 0x90, 0x93, 0xd2, 0x82, 0x22, 0x47, 0x02}, Nonce: 0xb52ff484,
		}},
		{"backup and reserved", "1e 10 1f 00 0000000000000001 00000000", JoinSYNACK{
			Reserved: 7, Backup: true, HMAC: [8]byte{7: 1},
		}},
	})
	testRefused(t, ParseJoinSYNACK, ErrLength, "1e 0c 10 07 deadbeef 11223344")
}

func TestJoinACK(t *testing.T) {
	testCodec(t, ParseJoinACK, []example[JoinACK]{
		{"plain", "1e 18 10 00 0102030405060708090a0b0c0d0e0f1011121314", JoinACK{
			HMAC: [20]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20},
		}},
		{"reserved", "1e 18 1a bc 0000000000000000000000000000000000000000", JoinACK{Reserved: 0xabc}},
	})
	testRefused(t, ParseJoinACK, ErrLength, "1e 0c 10 07 deadbeef 11223344")
}

// Bits that do not fit must not spill into the subtype.
func TestJoinReservedIsMasked(t *testing.T) {
	if b := (JoinSYN{Reserved: 0xff}).Append(nil); b[2] != 0x1e {
		t.Errorf("SYN with 8 reserved bits: byte 2 = %#x, want 0x1e", b[2])
	}
	if b := (JoinACK{Reserved: 0xffff}).Append(nil); b[2] != 0x1f || b[3] != 0xff {
		t.Errorf("ACK with 16 reserved bits: bytes 2 and 3 = %x, want 1fff", b[2:4])
	}
}

package wire

import (
	"bytes"
	"testing"
)

func TestExtendedOptions(t *testing.T) {
	j := JoinCap{AddrID: 3, Backup: true, FastHash: 0x2ab, KeyA: 0x0102030405060708, Proof: [16]byte{9, 8, 7, 15: 1}}
	b := j.Append(nil)
	want := append([]byte{30, 32, 0xf6, 16, 3, 1, 0x02, 0xab, 1, 2, 3, 4, 5, 6, 7, 8}, j.Proof[:]...)
	if !bytes.Equal(b, want) {
		t.Errorf("MP_JOIN_CAP is %x, want %x", b, want)
	}
	if got := ParseJoinCap(b); got != j {
		t.Errorf("ParseJoinCap = %+v, want %+v", got, j)
	}
	proof := Proof{AddrID: 5, MAC: j.Proof}
	p := proof.Append(nil)
	if want := append([]byte{30, 24, 0xf6, 17, 5, 0, 0, 0}, j.Proof[:]...); !bytes.Equal(p, want) || ParseProof(p) != proof {
		t.Errorf("PROOF is %x, want %x", p, want)
	}
	for _, whole := range [][]byte{b, p} {
		if typ, known, err := TypeOf(whole); typ != PrivExtended || !known || err != nil || Extended(whole) != whole[3] {
			t.Errorf("TypeOf(%x) = %v, %v, %v", whole, typ, known, err)
		}
		for n := 4; n < len(whole); n++ {
			if _, known, err := TypeOf(whole[:n]); !known || err == nil {
				t.Errorf("a prefix of %d octets of extended option %d is taken", n, whole[3])
			}
		}
	}
	if _, known, err := TypeOf([]byte{30, 8, 0xf6, 99, 0, 0, 0, 0}); known || err != nil {
		t.Errorf("an extended option of an unknown number: %v, %v; want it skipped", known, err)
	}
}

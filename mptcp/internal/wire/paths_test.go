package wire

import (
	"errors"
	"testing"
)

func TestPaths(t *testing.T) {
	for _, p := range []Paths{
		{},
		{Version: 255, Only: true},
		{Version: 7, Only: true, N: 2, IDs: [MaxPathIDs]uint8{0, 255}, Redundant: true},
		{NoBackup: true, Only: true, N: MaxPathIDs},
	} {
		b := p.Append(nil)
		got, known, err := TypeOf(b)
		if got != PrivPaths || !known || err != nil {
			t.Fatalf("TypeOf(%x) = %v, %v, %v", b, got, known, err)
		}
		if back := ParsePaths(b); back != p {
			t.Errorf("ParsePaths(%x) = %+v, want %+v", b, back, p)
		}
		for n := 4; n < pathsLen; n++ {
			if _, _, err := TypeOf(b[:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%d octets of %x: %v", n, b, err)
			}
		}
	}
	long := append((&Paths{N: MaxPathIDs}).Append(nil), 0)
	if _, _, err := TypeOf(long); !errors.Is(err, ErrMalformed) {
		t.Errorf("one address ID too many: %v", err)
	}
}

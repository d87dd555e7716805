package option

import (
	"bytes"
	"testing"
)

func TestRemoveAddr(t *testing.T) {
	testCodec(t, ParseRemoveAddr, []example[RemoveAddr]{
		{"one", "1e 04 40 06", RemoveAddr{IDs: []byte{6}}},
		{"three", "1e 06 40 060500", RemoveAddr{IDs: []byte{6, 5, 0}}},
		{"reserved", "1e 04 4f 06", RemoveAddr{Reserved: 15, IDs: []byte{6}}},
	})
	testRefused(t, ParseRemoveAddr, ErrLength, "1e 03 40")
}

// More IDs than a length byte can count are left out, never miscounted.
func TestRemoveAddrTooMany(t *testing.T) {
	r := RemoveAddr{IDs: bytes.Repeat([]byte{9}, 300)}
	b := r.Append(nil)
	got, err := ParseRemoveAddr(b)
	if err != nil || len(b) != r.Len() || len(got.IDs) != 252 {
		t.Errorf("300 IDs: %d bytes, Len %d, parse %d IDs, %v", len(b), r.Len(), len(got.IDs), err)
	}
}

// What is appended to the parsed IDs must not overwrite the next option.
func TestRemoveAddrDoesNotShareItsEnd(t *testing.T) {
	area := []byte{Kind, 4, 0x40, 6, KindNOP}
	raw, _, err := Next(area)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRemoveAddr(raw.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(r.IDs, 99)
	if area[4] != KindNOP {
		t.Errorf("area = %x: the next option was overwritten", area)
	}
}

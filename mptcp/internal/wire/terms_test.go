package wire

import (
	"bytes"
	"errors"
	"testing"
)

func TestTerms(t *testing.T) {
	for _, want := range []Terms{{}, {Cost: 255, Schedule: 255, Rate: 1<<64 - 1}, {Cost: 3, Rate: 625_000}} {
		b := want.Append([]byte("x"))[1:]
		p, known, err := TypeOf(b)
		if p != PrivExtended || !known || err != nil || Extended(b) != ExtTerms {
			t.Fatalf("TypeOf(%x) = %d, %v, %v", b, p, known, err)
		}
		if got := ParseTerms(b); got != want {
			t.Errorf("ParseTerms(Append(%+v)) = %+v", want, got)
		}
		for n := range len(b) {
			if _, _, err := TypeOf(b[:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("TypeOf of %d octets: %v, want %v", n, err, ErrMalformed)
			}
		}
		if _, _, err := TypeOf(append(bytes.Clone(b), 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("TypeOf of an octet too much: %v", err)
		}
	}
	if _, known, err := TypeOf([]byte{30, 5, 0xf6, 255, 0}); known || err != nil {
		t.Errorf("TypeOf of an extended option of a later version: known %v, %v", known, err)
	}
}

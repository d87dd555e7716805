package option

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

func TestNextWalksAnArea(t *testing.T) {
	area := unhex(t, "0204 05b4 01 01 080a 00000001 00000002 1e0c2003d7b98ba747ec1705 1e0351 fd02 00 1e0351")
	var kinds []uint8
	var subtypes []Subtype
	for rest := area; len(rest) > 0; {
		raw, after, err := Next(rest)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(rest, raw.Bytes) {
			t.Fatalf("Next(%x) = %x, want its start", rest, raw.Bytes)
		}
		kinds = append(kinds, raw.Kind)
		if raw.Kind == Kind {
			subtypes = append(subtypes, raw.Subtype)
		}
		rest = after
	}
	if want := []uint8{2, 1, 1, 8, 30, 30, 0xfd, 0}; !slices.Equal(kinds, want) {
		t.Errorf("kinds = %v, want %v", kinds, want)
	}
	if want := []Subtype{SubtypeDSS, SubtypePrio}; !slices.Equal(subtypes, want) {
		t.Errorf("subtypes = %v, want %v", subtypes, want)
	}
}

func TestNextOfNothing(t *testing.T) {
	if raw, rest, err := Next(nil); raw.Bytes != nil || rest != nil || err != nil {
		t.Errorf("Next(nil) = %+v, %x, %v, want nothing", raw, rest, err)
	}
}

func TestNextTrustsNoLength(t *testing.T) {
	for _, tt := range []struct {
		area  string
		cause error
		rest  string
	}{
		{"08", ErrTruncated, ""},
		{"1e", ErrTruncated, ""},
		{"0800 0000", ErrLength, ""}, // would never end
		{"0801 0000", ErrLength, ""},
		{"080a 0000", ErrTruncated, ""},
		{"1eff 20", ErrTruncated, ""},
		{"1e02 1e0351", ErrLength, "1e0351"},
	} {
		raw, rest, err := Next(unhex(t, tt.area))
		if !errors.Is(err, tt.cause) || raw.Bytes != nil || !bytes.Equal(rest, unhex(t, tt.rest)) {
			t.Errorf("Next(%s) = %x, rest %x, %v, want rest %s, %v", tt.area, raw.Bytes, rest, err, tt.rest, tt.cause)
		}
	}
}

func TestNames(t *testing.T) {
	for s, want := range map[Subtype]string{
		0: "MP_CAPABLE", 1: "MP_JOIN", 2: "DSS", 3: "ADD_ADDR", 4: "REMOVE_ADDR", 5: "MP_PRIO", 6: "MP_FAIL",
		7: "MP_FASTCLOSE", 8: "MP_TCPRST", 9: "subtype 9", 15: "MP_EXPERIMENTAL",
	} {
		if got := s.String(); got != want {
			t.Errorf("Subtype(%d) = %s, want %s", s, got, want)
		}
	}
	if got := V1.String(); got != "v1" {
		t.Errorf("V1 = %s", got)
	}
}

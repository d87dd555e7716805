package lab

import "testing"

func TestChecksum(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
		want uint16
	}{
		{"empty", nil, 0},
		{"RFC 1071 section 3", []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}, 0xddf2},
		{"odd length", []byte{0x00, 0x01, 0xf2}, 0xf201},
		{"carry twice", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x01}, 0x0001},
	} {
		if got := fold(sum(c.b, 0)); got != c.want {
			t.Errorf("%s: sum = %#04x, want %#04x", c.name, got, c.want)
		}
	}
}

package option

import "testing"

func TestFastClose(t *testing.T) {
	testCodec(t, ParseFastClose, []example[FastClose]{
		{"plain", "1e 0c 70 00 e6d7c292cfa4c743", FastClose{Key: 0xe6d7c292cfa4c743}},
		{"reserved", "1e 0c 75 01 0000000000000001", FastClose{Reserved: 0x501, Key: 1}},
	})
	testRefused(t, ParseFastClose, ErrLength, "1e 04 70 00")
}

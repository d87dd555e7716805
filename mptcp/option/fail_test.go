package option

import "testing"

func TestFail(t *testing.T) {
	testCodec(t, ParseFail, []example[Fail]{
		{"plain", "1e 0c 60 00 b26ba676fa139fee", Fail{DSN: 0xb26ba676fa139fee}},
		{"reserved", "1e 0c 6f ff 0000000000000001", Fail{Reserved: 0xfff, DSN: 1}},
	})
	testRefused(t, ParseFail, ErrLength, "1e 08 60 00 fa139fee")
}

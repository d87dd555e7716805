package wire

import "testing"

func TestHello(t *testing.T) {
	h := Hello{
		Version: HelloVersion, Features: 0x80000001, StreamCredit: 256 << 10, SessionCredit: 1 << 40, MaxStreams: 1024, LingerMillis: 300_000,
		Nonce: [16]byte{1, 2, 3, 15: 16},
	}
	b := h.Append([]byte("x"))[1:]
	if len(b) != helloLen || int(b[1]) != helloLen {
		t.Fatalf("Append wrote %d octets, length octet %d, want %d", len(b), b[1], helloLen)
	}
	if got := ParseHello(b); got != h {
		t.Errorf("ParseHello(Append(h)) = %+v, want %+v", got, h)
	}
}

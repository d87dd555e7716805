package option

import "testing"

func TestCapable(t *testing.T) {
	const keyA, keyB = 0x0123456789abcdef, 0xfedcba9876543210
	testCodec(t, ParseCapable, []example[Capable]{
		{"syn", "1e 04 01 01", Capable{Version: V1, Crypto: CryptoHMAC}},
		{"syn with every flag", "1e 04 01 ff", Capable{
			Version: V1, ChecksumRequired: true, Extensible: true, NoMoreSubflows: true, Crypto: 0x1f,
		}},
		{"syn of a later version", "1e 04 0f 81", Capable{Version: 15, ChecksumRequired: true, Crypto: CryptoHMAC}},
		{"syn/ack", "1e 0c 01 21 fedcba9876543210", Capable{
			Version: V1, Form: CapableKey, NoMoreSubflows: true, Crypto: CryptoHMAC, SenderKey: keyB,
		}},
		{"ack", "1e 14 01 01 0123456789abcdef fedcba9876543210", Capable{
			Version: V1, Form: CapableKeys, Crypto: CryptoHMAC, SenderKey: keyA, ReceiverKey: keyB,
		}},
		{"data", "1e 16 01 01 0123456789abcdef fedcba9876543210 05dc", Capable{
			Version: V1, Form: CapableData, Crypto: CryptoHMAC, SenderKey: keyA, ReceiverKey: keyB, DataLen: 1500,
		}},
		{"data and checksum", "1e 18 01 81 0123456789abcdef fedcba9876543210 0005 317b", Capable{
			Version: V1, Form: CapableDataChecksum, ChecksumRequired: true, Crypto: CryptoHMAC,
			SenderKey: keyA, ReceiverKey: keyB, DataLen: 5, Checksum: 0x317b,
		}},
		{"version 0 syn", "1e 0c 00 a1 0123456789abcdef", Capable{
			Version: V0, Form: CapableKey, ChecksumRequired: true, Crypto: 0x21, SenderKey: keyA,
		}},
		{"version 0 ack", "1e 14 00 01 0123456789abcdef fedcba9876543210", Capable{
			Version: V0, Form: CapableKeys, Crypto: CryptoHMAC, SenderKey: keyA, ReceiverKey: keyB,
		}},
	})
}

func TestCapableRefusesForms(t *testing.T) {
	testRefused(t, ParseCapable, ErrLength,
		"1e 03 01",
		"1e 05 01 01 00",
		"1e 04 00 01", // version 0 has its key in the SYN
		"1e 16 00 01 0123456789abcdef fedcba9876543210 05dc",
		"1e 18 00 01 0123456789abcdef fedcba9876543210 05dc 0000",
	)
}

func TestCapableAcceptable(t *testing.T) {
	for _, tt := range []struct {
		c    Capable
		want bool
	}{
		{Capable{Version: V1, Crypto: CryptoHMAC}, true},
		{Capable{Version: V1, Crypto: CryptoHMAC, ChecksumRequired: true, NoMoreSubflows: true}, true},
		{Capable{Version: V0, Crypto: 0x20 | CryptoHMAC}, true},
		{Capable{Version: V1}, false},
		{Capable{Version: V1, Crypto: 0x1e}, false},
		{Capable{Version: V1, Crypto: CryptoHMAC, Extensible: true}, false},
	} {
		if got := tt.c.Acceptable(); got != tt.want {
			t.Errorf("%+v acceptable = %v, want %v", tt.c, got, tt.want)
		}
	}
}

// An impossible form is written as the longest, so that Len and Append agree.
func TestCapableImpossibleForm(t *testing.T) {
	c := Capable{Version: 0xff, Form: 200, Crypto: 0xff}
	if b := c.Append(nil); len(b) != c.Len() || len(b) != 24 || b[2] != 0x0f || b[3] != 0x1f {
		t.Errorf("append %+v = %x, len %d", c, b, c.Len())
	}
}

// An answer names one algorithm, and that is ours.
func TestCapableChosen(t *testing.T) {
	for _, tt := range []struct {
		c    Capable
		want bool
	}{
		{Capable{Version: V1, Crypto: CryptoHMAC}, true},
		{Capable{Version: V0, Crypto: CryptoHMAC, ChecksumRequired: true}, true},
		{Capable{Version: V1, Crypto: CryptoHMAC | 0x02}, false},
		{Capable{Version: V1, Crypto: 0x02}, false},
		{Capable{Version: V1}, false},
		{Capable{Version: V1, Crypto: CryptoHMAC, Extensible: true}, false},
	} {
		if got := tt.c.Chosen(); got != tt.want {
			t.Errorf("%+v chosen = %v, want %v", tt.c, got, tt.want)
		}
	}
}

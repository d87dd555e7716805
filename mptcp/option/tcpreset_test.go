package option

import "testing"

func TestTCPReset(t *testing.T) {
	testCodec(t, ParseTCPReset, []example[TCPReset]{
		{"permanent", "1e 04 80 01", TCPReset{Reason: ReasonMPTCP}},
		{"transient", "1e 04 81 06", TCPReset{Transient: true, Reason: ReasonMiddlebox}},
		{"reserved and unknown reason", "1e 04 8e ff", TCPReset{Reserved: 7, Reason: 255}},
	})
	testRefused(t, ParseTCPReset, ErrLength, "1e 03 80", "1e 05 80 00 00")
}

package option

import "testing"

// The numbers are the registry's (RFC 8684 section 7.4).
func TestReason(t *testing.T) {
	want := []string{
		"unspecified", "mptcp-specific error", "lack of resources", "administratively prohibited",
		"too much outstanding data", "unacceptable performance", "middlebox interference", "reason 7",
	}
	for i, w := range want {
		if got := Reason(i).String(); got != w {
			t.Errorf("Reason(%d) = %q, want %q", i, got, w)
		}
	}
}

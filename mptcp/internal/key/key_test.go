package key

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/option"
)

const (
	keyA Key = 0x0123456789abcdef
	keyB Key = 0xfedcba9876543210
)

func TestDerivations(t *testing.T) {
	for _, tt := range []struct {
		key     Key
		version option.Version
		token   Token
		idsn    uint64
	}{
		{keyA, option.V1, 0x55c53f5d, 0x570762cd38be9818},
		{keyA, option.V0, 0x0ca2eadb, 0xe3df8ee121f10547},
		{keyB, option.V1, 0x18f9781b, 0x280818bf0fa7e28e},
		{0, option.V1, 0xaf5570f5, 0xe5b2328de0e83dfc},
		{^Key(0), option.V1, 0x12a3ae44, 0x57fb595bbbacf0ca},
	} {
		if got := tt.key.Token(tt.version); got != tt.token {
			t.Errorf("%v token of %#x = %#x, want %#x", tt.version, uint64(tt.key), got, tt.token)
		}
		if got := tt.key.IDSN(tt.version); got != tt.idsn {
			t.Errorf("%v IDSN of %#x = %#x, want %#x", tt.version, uint64(tt.key), got, tt.idsn)
		}
	}
}

// A key must not come out of a log line, however it got into one.
func TestKeyDoesNotPrint(t *testing.T) {
	j, err := json.Marshal(map[string]any{"key": keyA})
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{
		fmt.Sprint(keyA), fmt.Sprintf("%v %+v %#v %s %q %x", keyA, keyA, keyA, keyA, keyA, keyA),
		fmt.Sprintf("%v %+v %#v", Secret{Local: keyA}, Secret{Local: keyA}, Secret{Local: keyA}), string(j),
	} {
		if strings.Contains(out, "0123456789abcdef") || strings.Contains(out, "123456789abcdef") ||
			strings.Contains(out, fmt.Sprint(uint64(keyA))) {
			t.Errorf("output shows the key: %s", out)
		}
	}
}

package configs

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// Key is a key of 32 bytes as the files and the join link carry it.
type Key [32]byte

// String is the key in URL-safe base64 without padding.
func (k Key) String() string { return base64.RawURLEncoding.EncodeToString(k[:]) }

// ParseKey reads the 43 characters that String writes.
func ParseKey(s string) (Key, error) {
	var k Key
	s = strings.TrimRight(s, "=")
	// Strict: the last character has two bits to spare, and one key should
	// have one spelling.
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(k) {
		return k, fmt.Errorf("a key is 43 characters of URL-safe base64; this has %d characters and is not one", len(s))
	}
	return Key(b), nil
}

// Package key holds what the core knows of cryptography: the keys of a session,
// and the tokens, initial data sequence numbers and HMACs that RFC 8684
// (version 1) and RFC 6824 (version 0) derive from them.
//
// Randomness is injected, nothing is logged, and keys do not print. Values are
// safe to share; Tokens is not safe for concurrent use.
package key

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"

	"github.com/mpsocks/mpsocks/mptcp/option"
)

// Key is the secret that one side of a session chose (RFC 8684 section 3.1).
type Key uint64

// Token names a session to the peer: it is derived from the key of the side
// that receives the token (RFC 8684 section 3.2).
type Token uint32

// redacted stands in for a key wherever one would be printed.
const redacted = "[key]"

// String keeps the key out of logs.
func (Key) String() string { return redacted }

// GoString keeps the key out of logs.
func (Key) GoString() string { return redacted }

// MarshalText keeps the key out of JSON logs.
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Token returns the first four bytes of the hash of the key.
func (k Key) Token(v option.Version) Token {
	h := k.hash(v)
	return Token(binary.BigEndian.Uint32(h[:]))
}

// IDSN returns the initial data sequence number, the last eight bytes of the
// hash of the key. The handshake takes that octet: the first octet of data is
// IDSN+1 (RFC 8684 section 3.3.1).
func (k Key) IDSN(v option.Version) uint64 {
	h := k.hash(v)
	if v == option.V0 {
		return binary.BigEndian.Uint64(h[sha1.Size-8:])
	}
	return binary.BigEndian.Uint64(h[sha256.Size-8:])
}

// hash returns SHA-256 of the key, or SHA-1 in the first 20 bytes for
// version 0, which knows nothing else.
func (k Key) hash(v option.Version) (h [sha256.Size]byte) {
	b := binary.BigEndian.AppendUint64(nil, uint64(k))
	if v == option.V0 {
		s := sha1.Sum(b)
		copy(h[:], s[:])
		return h
	}
	return sha256.Sum256(b)
}

package upstream

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// PublicKey is what a client or an egress is known by: an Ed25519 public key.
type PublicKey [ed25519.PublicKeySize]byte

var keyEncoding = base64.RawURLEncoding.Strict()

// String is the key in URL-safe base64 without padding, 43 characters.
func (k PublicKey) String() string { return keyEncoding.EncodeToString(k[:]) }

// IsZero reports whether the key has not been set.
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

// equal compares without telling by its time where the keys differ.
func (k PublicKey) equal(o PublicKey) bool { return subtle.ConstantTimeCompare(k[:], o[:]) == 1 }

// ParsePublicKey reads what PublicKey.String writes.
func ParsePublicKey(s string) (PublicKey, error) {
	b, err := decodeKey([]byte(s))
	if err != nil {
		return PublicKey{}, fmt.Errorf("parse public key: %w", err)
	}
	return PublicKey(b), nil
}

var errKeyText = errors.New("not 43 characters of URL-safe base64")

// decodeKey reads 32 bytes. Its error never quotes the text, which may be secret.
func decodeKey(text []byte) ([32]byte, error) {
	var key [32]byte
	if len(text) != keyEncoding.EncodedLen(len(key)) {
		return key, errKeyText
	}
	if n, err := keyEncoding.Decode(key[:], text); err != nil || n != len(key) {
		return [32]byte{}, errKeyText
	}
	return key, nil
}

// Identity is the private key of a client or an egress. It prints as its public
// key, so that no log or error can show the secret.
type Identity struct {
	key ed25519.PrivateKey
}

var _ slog.LogValuer = Identity{}

// NewIdentity makes a new private key.
func NewIdentity() (Identity, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Identity{}, fmt.Errorf("make identity: %w", err)
	}
	return Identity{key: key}, nil
}

// IdentityFromSeed returns the identity of a seed that Seed returned. A seed
// of zeros, which nobody makes by chance, is no identity.
func IdentityFromSeed(seed [ed25519.SeedSize]byte) Identity {
	if seed == [ed25519.SeedSize]byte{} {
		return Identity{}
	}
	return Identity{key: ed25519.NewKeyFromSeed(seed[:])}
}

// AdminToken returns a secret that only those can know who may read the key, and
// from which the key cannot be told: what changes the running program asks for it.
func (id Identity) AdminToken() string {
	seed := id.Seed()
	m := hmac.New(sha256.New, seed[:])
	m.Write([]byte("mpsocks admin token 1"))
	return keyEncoding.EncodeToString(m.Sum(nil)[:16])
}

// Seed returns the secret that the identity is made from. Whoever has it is
// that client or egress.
func (id Identity) Seed() [ed25519.SeedSize]byte {
	if id.IsZero() {
		return [ed25519.SeedSize]byte{}
	}
	return [ed25519.SeedSize]byte(id.key.Seed())
}

// Public returns the public key, or zeros for no identity.
func (id Identity) Public() PublicKey {
	if id.IsZero() {
		return PublicKey{}
	}
	return PublicKey(id.key.Public().(ed25519.PublicKey))
}

// IsZero reports whether the identity has not been set.
func (id Identity) IsZero() bool { return len(id.key) == 0 }

// String names the identity by its public key.
func (id Identity) String() string { return "identity of " + id.Public().String() }

// Format keeps the secret out of every verb of package fmt.
func (id Identity) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, id.String()) }

// LogValue keeps the secret out of logs.
func (id Identity) LogValue() slog.Value { return slog.StringValue(id.Public().String()) }

// MarshalText refuses: an identity leaves the program through Save only.
func (id Identity) MarshalText() ([]byte, error) {
	return nil, errors.New("marshal identity: a private key is not data")
}

// text is the contents of a key file: a line for people, a line for the program.
func (id Identity) text() []byte {
	seed := id.Seed()
	var b bytes.Buffer
	fmt.Fprintf(&b, "# mpsocks private key: keep it secret. Its public key is %s\n", id.Public())
	b.WriteString(keyEncoding.EncodeToString(seed[:]))
	b.WriteByte('\n')
	return b.Bytes()
}

// parseIdentity reads what text writes. Lines may end as on any system.
func parseIdentity(text []byte) (Identity, error) {
	var found [][]byte
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			found = append(found, line)
		}
	}
	switch len(found) {
	case 0:
		return Identity{}, errors.New("there is no key in it")
	case 1:
	default:
		return Identity{}, errors.New("there is more than one key in it")
	}
	seed, err := decodeKey(found[0])
	if err != nil {
		return Identity{}, err
	}
	id := IdentityFromSeed(seed)
	if id.IsZero() {
		return Identity{}, errors.New("the key is all zeros")
	}
	return id, nil
}

package key

import (
	"errors"

	"github.com/mpsocks/mpsocks/mptcp/option"
)

// maxTries bounds the search for a free token. Even with a million live
// sessions one try in four thousand collides, so eight failures in a row mean a
// broken random source, not bad luck.
const maxTries = 8

// ErrNoToken: no key with a free token was found. RFC 8684 section 3.1 wants
// such a connection to go on without MPTCP.
var ErrNoToken = errors.New("allocate key: every token tried is in use")

// Tokens hands out keys whose tokens are unique among the live sessions of
// this endpoint (RFC 8684 section 3.1). It is not safe for concurrent use: the
// owner serialises all calls.
type Tokens struct {
	random func() uint64
	live   map[Token]struct{}
}

// NewTokens returns an empty table. Random must be cryptographically strong:
// it makes the keys.
func NewTokens(random func() uint64) *Tokens {
	return &Tokens{random: random, live: make(map[Token]struct{})}
}

// Allocate makes a key and takes its token until Release. Tokens of both
// versions share one table, as a join does not say of which version it is.
func (t *Tokens) Allocate(v option.Version) (Key, Token, error) {
	for range maxTries {
		k := Key(t.random())
		token := k.Token(v)
		if _, taken := t.live[token]; !taken {
			t.live[token] = struct{}{}
			return k, token, nil
		}
	}
	return 0, 0, ErrNoToken
}

// Release frees a token; one that is not live is ignored.
func (t *Tokens) Release(token Token) { delete(t.live, token) }

// Live reports whether a session has the token.
func (t *Tokens) Live(token Token) bool {
	_, ok := t.live[token]
	return ok
}

// Len returns the number of live tokens.
func (t *Tokens) Len() int { return len(t.live) }

package proto

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/mpsocks/mpsocks/mptcp/internal/key"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

// Start is one MP_CAPABLE as its responder knows it: half open until the initiator has shown that it knows the responder's key, by the third record or by
// MP_JOIN_CAP on another flow, and a session from then on.
type Start struct {
	Peer    string
	Version option.Version
	Own     key.Key    // key B
	Hello   wire.Hello // this side's
	Remote  wire.Hello
	Secret  key.Secret // complete once Claimed
	Claimed bool
	User    any // the driver's
	// Elsewhere has joins go to addresses that are announced.
	Elsewhere bool

	hash       uint16
	binding    []byte
	transcript [32]byte
}

// secret is what the session has if the initiator's key is a.
func (s *Start) secret(a key.Key) key.Secret {
	return key.Secret{Local: s.Own, Remote: a, Binding: s.binding, Version: s.Version}
}

// Claim makes the start a session.
func (s *Start) Claim(secret key.Secret) { s.Secret, s.Claimed = secret, true }

// transcriptOf is what both sides prove to have seen: the options of the first two records.
func transcriptOf(syn, synack []byte) [32]byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(syn)))
	b = append(b, syn...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(synack)))
	return sha256.Sum256(append(b, synack...))
}

// Starts are what MP_JOIN_CAP may name: half-open and live sessions, by the peer and the fast hash of key B. Ten bits name them badly on purpose: they save
// HMACs and decide nothing. It is not safe for concurrent use.
type Starts struct {
	byHash map[startBucket][]*Start
}

type startBucket struct {
	peer string
	hash uint16
}

// NewStarts returns an empty table.
func NewStarts() *Starts { return &Starts{byHash: make(map[startBucket][]*Start)} }

// Add puts s into the table.
func (t *Starts) Add(s *Start) {
	if s.hash == 0 {
		s.hash = s.Own.FastHash()
	}
	b := startBucket{s.Peer, s.hash}
	t.byHash[b] = append(t.byHash[b], s)
}

// Remove takes s out, if it is there.
func (t *Starts) Remove(s *Start) {
	b := startBucket{s.Peer, s.hash}
	list := t.byHash[b]
	for i, x := range list {
		if x == s {
			list = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if len(list) == 0 {
		delete(t.byHash, b)
		return
	}
	t.byHash[b] = list
}

// Len is how many there are.
func (t *Starts) Len() (n int) {
	for _, l := range t.byHash {
		n += len(l)
	}
	return n
}

// Find finds the start that an MP_JOIN_CAP on the flow of m is about: of those with its fast hash the one whose keys made its proof.
func (t *Starts) Find(peer string, j wire.JoinCap, m key.Merge) (*Start, key.Secret, bool) {
	for _, s := range t.byHash[startBucket{peer, j.FastHash}] {
		secret := s.secret(key.Key(j.KeyA))
		if s.Claimed && secret.Remote != s.Secret.Remote {
			continue
		}
		if want := secret.RemoteMergeProof(m); key.Equal(want[:], j.Proof[:]) {
			return s, secret, true
		}
	}
	return nil, key.Secret{}, false
}

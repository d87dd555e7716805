package upstream

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// alpnVerify is the protocol of a first contact: a client that does not know the
// egress's key tells the egress over a second path what it saw on the first, and
// the egress compares (the idea of SMKEX, "Secure Opportunistic Multipath Key Exchange", CCS
// 2018); docs/protocol.md, section 13.
const alpnVerify = "mpsocks-verify/1"

// The kinds of messages. A message is its kind, and then what is said here.
const (
	verifyHold    byte = 1 // client: contactID. This connection is the first path's
	verifyCheck   byte = 2 // client: contactID, hash. It is a second path's
	verifyHeld    byte = 3 // egress: nothing. The first path is noted
	verifySame    byte = 4 // egress: hash. Both sides have seen the same
	verifyDiffers byte = 5 // egress: nothing. They have not
	verifyUnknown byte = 6 // egress: nothing. No first path of this client's by that name has arrived
)

// contactID is the client's name for one attempt.
type contactID [16]byte

func newContactID() (id contactID) {
	_, _ = rand.Read(id[:]) // it does not fail
	return id
}

// verifyHash is what both ends of two connections can compute, and nobody else.
type verifyHash [sha256.Size]byte

// seen is what an end has seen of both connections of a first contact. In each, the
// TLS exporter stands for all that was said in the handshake up to the server's
// Finished (RFC 8446, 7.5), and so for the key exchange; the keys say who signed it.
type seen struct {
	id             contactID
	client, egress PublicKey
	first, second  []byte // exporters, of exporterLength octets
}

// The sides of a first contact. What one says is no answer for the other.
const (
	clientSaw = "mpsocks verify 1 client"
	egressSaw = "mpsocks verify 1 egress"
)

func (s *seen) hash(side string) (h verifyHash) {
	m := sha256.New()
	for _, part := range [][]byte{[]byte(side), s.id[:], s.client[:], s.egress[:], s.first, s.second} {
		m.Write(part) // each has one length
	}
	m.Sum(h[:0])
	return h
}

// verifyMessage is a message of either side.
type verifyMessage struct {
	kind byte
	id   contactID
	hash verifyHash
}

func (m *verifyMessage) hasID() bool   { return m.kind == verifyHold || m.kind == verifyCheck }
func (m *verifyMessage) hasHash() bool { return m.kind == verifyCheck || m.kind == verifySame }

var errVerifyKind = errors.New("not a message of a first contact")

// send writes the message in one piece.
func (m *verifyMessage) send(w io.Writer) error {
	b := []byte{m.kind}
	if m.hasID() {
		b = append(b, m.id[:]...)
	}
	if m.hasHash() {
		b = append(b, m.hash[:]...)
	}
	_, err := w.Write(b)
	return err
}

// readVerify reads a message and no octet more.
func readVerify(r io.Reader) (m verifyMessage, err error) {
	var kind [1]byte
	if _, err := io.ReadFull(r, kind[:]); err != nil {
		return m, err
	}
	m.kind = kind[0]
	if m.kind < verifyHold || m.kind > verifyUnknown {
		return m, fmt.Errorf("%w: kind %d", errVerifyKind, m.kind)
	}
	if m.hasID() {
		_, err = io.ReadFull(r, m.id[:])
	}
	if err == nil && m.hasHash() {
		_, err = io.ReadFull(r, m.hash[:])
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return m, err
}

package key

import (
	"encoding/binary"

	"github.com/mpsocks/mpsocks/mptcp/option"
)

// What the HMACs of this file are made over begins with one of these, so that none of them is another's, or that of a join.
const (
	labelTranscript = "mpsocks transcript"
	labelMerge      = "mpsocks join cap"
)

// Proof is half an HMAC-SHA256, whatever the version of the session: a downgrade must not weaken what shows it.
type Proof [16]byte

// LocalProof shows the other side what this one has seen of the handshake: both sides' first records.
func (s Secret) LocalProof(transcript [32]byte) Proof {
	return s.proof(s.Local, s.Remote, labelTranscript, transcript[:])
}

// RemoteProof is what to expect from the other side.
func (s Secret) RemoteProof(transcript [32]byte) Proof {
	return s.proof(s.Remote, s.Local, labelTranscript, transcript[:])
}

// Merge is a flow that has keys of its own and becomes a subflow of another flow's session by MP_JOIN_CAP (draft-amend-tcpm-mptcp-robe-02, section 3.3).
type Merge struct {
	Other      Key      // the responder's, on the flow that joins
	Binding    []byte   // of its channel
	Transcript [32]byte // of its handshake
	AddrID     uint8
	Backup     bool
}

// LocalMergeProof is the initiator's proof that it has seen the responder's keys on both flows. The drafts' HMAC is over Key-A, Key-B and Key-B' and leaves
// open which of them are the HMAC's key; here the session's keys are, and all else that the option says is covered.
func (s Secret) LocalMergeProof(m Merge) Proof { return s.merge(s.Local, s.Remote, m) }

// RemoteMergeProof is what to expect of the initiator.
func (s Secret) RemoteMergeProof(m Merge) Proof { return s.merge(s.Remote, s.Local, m) }

func (s Secret) merge(own, peer Key, m Merge) Proof {
	msg := binary.BigEndian.AppendUint64(nil, uint64(m.Other))
	backup := byte(0)
	if m.Backup {
		backup = 1
	}
	msg = append(msg, m.AddrID, backup)
	msg = append(msg, m.Transcript[:]...)
	return s.proof(own, peer, labelMerge, append(msg, m.Binding...))
}

func (s Secret) proof(own, peer Key, label string, msg []byte) Proof {
	return Proof(s.hmac(option.V1, own, peer, append([]byte(label), msg...))[:16])
}

// fastHashMask leaves the ten bits that the drafts keep.
const fastHashMask = 0x3ff

// FastHash names the half-open session with this key: ten bits, so that others may have the same. The drafts do not say which CRC-16 they mean; this
// is the one of the polynomial 0x1021 that starts with ones.
func (k Key) FastHash() uint16 {
	crc := uint16(0xffff)
	for _, b := range binary.BigEndian.AppendUint64(nil, uint64(k)) {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc & fastHashMask
}

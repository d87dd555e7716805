package key

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"

	"github.com/mpsocks/mpsocks/mptcp/option"
)

// Secret is what the two sides of a session share and use to know each other
// on a further subflow.
//
// The bindings are this project's own addition: secrets of the secure channels
// below, that of the first subflow in the key of the HMAC and that of the
// joining subflow in its message. A proof made on one channel is then worth
// nothing on another. With empty bindings every HMAC is that of RFC 8684. As
// HMAC pads its key with zeros, a session must not mix bindings of different
// lengths; secrets exported by TLS all have one length.
type Secret struct {
	Local, Remote Key
	Binding       []byte // of the session; not modified, must not change
	Version       option.Version
}

// MAC is the HMAC of one side for one join. Version 0 fills only 20 bytes.
type MAC [sha256.Size]byte

// SYNACK returns the part that the MP_JOIN of a SYN/ACK carries.
func (m MAC) SYNACK() [8]byte { return [8]byte(m[:8]) }

// ACK returns the part that the MP_JOIN of a third ACK carries.
func (m MAC) ACK() [20]byte { return [20]byte(m[:20]) }

// LocalJoinMAC returns the HMAC with which this side proves itself on a subflow
// (RFC 8684 section 3.2). Each side puts its own key and nonce first, so it
// does not matter who opened the subflow.
func (s Secret) LocalJoinMAC(localNonce, remoteNonce uint32, binding []byte) MAC {
	return s.join(s.Local, s.Remote, localNonce, remoteNonce, binding)
}

// RemoteJoinMAC returns the HMAC to expect from the other side on a subflow.
func (s Secret) RemoteJoinMAC(localNonce, remoteNonce uint32, binding []byte) MAC {
	return s.join(s.Remote, s.Local, remoteNonce, localNonce, binding)
}

func (s Secret) join(own, peer Key, ownNonce, peerNonce uint32, binding []byte) (m MAC) {
	msg := make([]byte, 0, 8+len(binding))
	msg = binary.BigEndian.AppendUint32(msg, ownNonce)
	msg = binary.BigEndian.AppendUint32(msg, peerNonce)
	msg = append(msg, binding...)
	copy(m[:], s.hmac(s.Version, own, peer, msg))
	return m
}

// LocalAddAddrMAC returns the HMAC of an ADD_ADDR that this side sends
// (RFC 8684 section 3.4.1). The port is zero where the option has none.
// Version 0 has no such HMAC.
func (s Secret) LocalAddAddrMAC(id uint8, addr netip.Addr, port uint16) [8]byte {
	return s.addAddr(s.Local, s.Remote, id, addr, port)
}

// RemoteAddAddrMAC returns the HMAC to expect in an ADD_ADDR of the other side.
func (s Secret) RemoteAddAddrMAC(id uint8, addr netip.Addr, port uint16) [8]byte {
	return s.addAddr(s.Remote, s.Local, id, addr, port)
}

func (s Secret) addAddr(own, peer Key, id uint8, addr netip.Addr, port uint16) [8]byte {
	msg := append(make([]byte, 0, 1+16+2), id)
	msg = append(msg, addr.AsSlice()...)
	msg = binary.BigEndian.AppendUint16(msg, port)
	mac := s.hmac(option.V1, own, peer, msg)
	return [8]byte(mac[len(mac)-8:])
}

func (s Secret) hmac(v option.Version, own, peer Key, msg []byte) []byte {
	hash := sha256.New
	if v == option.V0 {
		hash = sha1.New
	}
	k := make([]byte, 0, 16+len(s.Binding))
	k = binary.BigEndian.AppendUint64(k, uint64(own))
	k = binary.BigEndian.AppendUint64(k, uint64(peer))
	k = append(k, s.Binding...)
	h := hmac.New(hash, k)
	h.Write(msg)
	return h.Sum(nil)
}

// Equal compares two HMACs in a time that does not tell where they differ.
func Equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

package upstream

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/mpsocks/mpsocks/mptcp"
)

// alpnQUIC is what a QUIC connection carries: a stream of it for every stream.
const alpnQUIC = "mpsocks-quic/1"

// Flow control. What a stream may have under way starts with a window that no
// connection fills in its first round trips and grows with what its reader takes,
// so that a download that was paused does not hold much of the connection's.
const (
	quicStreamWindow    = 4 << 20
	quicMaxStreamWindow = 16 << 20
	quicConnWindow      = 32 << 20
	quicMaxConnWindow   = 64 << 20 // as much as a session may hold
)

const (
	// quicStreams is how many streams a client may have open on one connection.
	quicStreams = 16 << 10
	// quicKeepAlive keeps the bindings of address translators, which may forget
	// UDP after half a minute (RFC 4787, REQ-5, asks for two).
	quicKeepAlive = 15 * time.Second
	// quicLinger is how long a connection outlives its last sign of life where
	// sessions are not to linger at all.
	quicLinger = 30 * time.Second
)

// Codes of streams and connections that are ended before their time. They say
// nothing beyond that: the same is known of a TCP connection.
const (
	quicReset quic.StreamErrorCode      = 1
	quicGone  quic.StreamErrorCode      = 2 // closed by the side that would have read
	quicBye   quic.ApplicationErrorCode = 0
	quicLost  quic.ApplicationErrorCode = 1 // given up for want of an answer
)

// quicBadCertificate is TLS's alert bad_certificate (RFC 8446, 6) as QUIC carries
// it (RFC 9001, 4.8): the egress does not know this client.
const quicBadCertificate quic.TransportErrorCode = 0x100 + 42

// quicConfig is what both sides of a connection agree on.
//
// 0-RTT is off. Its data can be replayed (RFC 9001, 9.2), and the first flight of
// a stream is a request to connect with the program's first bytes, which must not
// happen twice. It would save one round trip in the life of a connection, not one
// of every stream: those are opened without any.
func quicConfig(s *mptcp.Config) *quic.Config {
	c := &quic.Config{
		Versions:                       []quic.Version{quic.Version1},
		HandshakeIdleTimeout:           handshakeTimeout / 2, // quic-go allows twice that in all
		MaxIdleTimeout:                 mptcpLinger(s),
		InitialStreamReceiveWindow:     quicStreamWindow,
		MaxStreamReceiveWindow:         quicMaxStreamWindow,
		InitialConnectionReceiveWindow: quicConnWindow,
		MaxConnectionReceiveWindow:     quicMaxConnWindow,
		MaxIncomingStreams:             -1,
		MaxIncomingUniStreams:          -1,
		EnableDatagrams:                true, // pings
	}
	if s != nil && s.Memory > 0 {
		limit := uint64(s.Memory)
		c.MaxConnectionReceiveWindow = limit
		c.InitialConnectionReceiveWindow = min(c.InitialConnectionReceiveWindow, limit)
		c.MaxStreamReceiveWindow = min(c.MaxStreamReceiveWindow, limit)
		c.InitialStreamReceiveWindow = min(c.InitialStreamReceiveWindow, limit)
	}
	return c
}

// mptcpLinger is how long a session of these settings lives without a path; a
// connection gets the same time.
func mptcpLinger(s *mptcp.Config) time.Duration {
	switch {
	case s == nil || s.Linger == 0:
		return 5 * time.Minute
	case s.Linger < 0:
		return quicLinger
	}
	return s.Linger
}

// quicClientConfig is that of a client.
func quicClientConfig(s *mptcp.Config) *quic.Config {
	c := quicConfig(s)
	c.KeepAlivePeriod = quicKeepAlive
	// What proves our address on the next connection, so that an egress under
	// load need not ask for it.
	c.TokenStore = quic.NewLRUTokenStore(4, 4)
	return c
}

// quicEgressConfig is that of an egress while it has memory enough.
func quicEgressConfig(s *mptcp.Config, handshake time.Duration) *quic.Config {
	c := quicConfig(s)
	c.HandshakeIdleTimeout = handshake / 2
	c.MaxIncomingStreams = quicStreams
	return c
}

// egressQUICTLS is egressTLS for QUIC. A client without a certificate and one with
// an unknown key are refused with the same words.
func egressQUICTLS(id Identity, known func(PublicKey) bool) (*tls.Config, error) {
	c, err := egressTLS(id, known)
	if err != nil {
		return nil, err
	}
	c.NextProtos = []string{alpnQUIC}
	c.ClientAuth = tls.RequestClientCert // VerifyConnection wants it
	return c, nil
}

// quicKeys are the secrets of an egress that must survive its restart: then a
// client learns at once that its connection is gone (RFC 9000, 10.3), and needs
// not prove its address again.
func quicKeys(id Identity) (reset quic.StatelessResetKey, token quic.TokenGeneratorKey, err error) {
	seed := id.Seed()
	derive := func(to []byte, label string) {
		var b []byte
		if err == nil {
			b, err = hkdf.Key(sha256.New, seed[:], nil, label, len(to))
			copy(to, b)
		}
	}
	derive(reset[:], "mpsocks quic stateless reset")
	derive(token[:], "mpsocks quic token")
	return reset, token, err
}

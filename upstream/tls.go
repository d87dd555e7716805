package upstream

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// What a connection carries, as TLS negotiates it (RFC 7301).
const (
	alpnSession = "mpsocks/1"     // records of a session
	alpnStream  = "mpsocks-tcp/1" // the bytes of one stream
)

// The label and length of the TLS exporter (RFC 8446, 7.5) that ties a
// session's keys to the connection they came over.
const (
	exporterLabel  = "EXPORTER-mpsocks"
	exporterLength = 32
)

// Errors of the TLS handshake that say who is on the other side.
var (
	// ErrWrongEgressKey says that whoever answered at the egress's address does
	// not have the key that the configuration pins.
	ErrWrongEgressKey = errors.New("egress has another key than the configured one")
	// ErrUnknownClient says that a client's key is not in the egress's list.
	ErrUnknownClient = errors.New("client key unknown")
	// ErrNotAdmitted says that the egress proved who it is and then ended the
	// connection before it sent anything.
	ErrNotAdmitted = errors.New("egress ended the connection at once; it may not have this client's key in its list")

	errNoKey    = errors.New("peer shows no Ed25519 key")
	errProtocol = errors.New("peer does not speak this protocol")
)

// certificate wraps the identity's key in the certificate that TLS wants. Only
// the key counts: names are empty, and validity covers all times so that
// nobody's clock matters (RFC 5280, 4.1.2.5 for the end that is no end).
func certificate(id Identity) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, id.key.Public(), id.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: id.key}, nil
}

// baseTLS is what both sides agree on. Records keep one size, because small
// first records cost time on a connection that lives long, and no session is
// resumed, because a ticket would outlive the removal of a client.
func baseTLS(id Identity, protocols ...string) (*tls.Config, error) {
	if id.IsZero() {
		return nil, errors.New("identity: not set")
	}
	cert, err := certificate(id)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates:                []tls.Certificate{cert},
		MinVersion:                  tls.VersionTLS13,
		NextProtos:                  protocols,
		SessionTicketsDisabled:      true,
		DynamicRecordSizingDisabled: true,
	}, nil
}

// clientTLS returns the client's side: it shows id and accepts only the egress that is
// pinned when a connection is made.
func clientTLS(id Identity, egress *pin, protocol string) (*tls.Config, error) {
	c, err := baseTLS(id, protocol)
	if err != nil {
		return nil, err
	}
	// The chain of trust is one pinned key, checked in VerifyConnection, which
	// runs whatever this says.
	c.InsecureSkipVerify = true
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		key, err := peerKey(cs)
		if err != nil {
			return err
		}
		if err := egress.check(key); err != nil {
			return err
		}
		if cs.NegotiatedProtocol != protocol {
			return errProtocol
		}
		return nil
	}
	return c, nil
}

// egressTLS returns the egress's side: it shows id and accepts the keys that
// known accepts.
func egressTLS(id Identity, known func(PublicKey) bool) (*tls.Config, error) {
	c, err := baseTLS(id, alpnSession, alpnStream, alpnVerify)
	if err != nil {
		return nil, err
	}
	c.ClientAuth = tls.RequireAnyClientCert
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		key, err := peerKey(cs)
		if err != nil {
			return err
		}
		if !known(key) {
			return fmt.Errorf("%w: %v", ErrUnknownClient, key)
		}
		if cs.NegotiatedProtocol == "" {
			return errProtocol
		}
		return nil
	}
	return c, nil
}

// peerKey is the key that the peer has proven to hold: TLS 1.3 signs the
// handshake with the key of the first certificate (RFC 8446, 4.4.3).
func peerKey(cs tls.ConnectionState) (PublicKey, error) {
	if len(cs.PeerCertificates) == 0 {
		return PublicKey{}, errNoKey
	}
	key, ok := cs.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok || len(key) != ed25519.PublicKeySize {
		return PublicKey{}, errNoKey
	}
	return PublicKey(key), nil
}

// binding returns the bytes that only the two ends of this connection know.
func binding(c *tls.Conn) ([]byte, error) {
	cs := c.ConnectionState()
	b, err := cs.ExportKeyingMaterial(exporterLabel, nil, exporterLength)
	if err != nil {
		return nil, fmt.Errorf("bind to tls: %w", err)
	}
	return b, nil
}

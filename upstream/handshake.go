package upstream

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
)

// clientHandshake runs TLS over c as the client. When it fails c is closed.
func clientHandshake(ctx context.Context, c *net.TCPConn, cfg *tls.Config) (*tls.Conn, error) {
	raw := &rawConn{TCPConn: c}
	t := tls.Client(raw, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = tcpsock.Abort(c)
		return nil, err
	}
	raw.fresh.Store(true)
	return t, nil
}

// egressHandshake runs TLS over c as the egress, telling strangers nothing. When
// it fails c is closed.
func egressHandshake(ctx context.Context, c *net.TCPConn, cfg *tls.Config) (*tls.Conn, error) {
	raw := &rawConn{TCPConn: c}
	raw.quiet.Store(true)
	t := tls.Server(raw, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	raw.quiet.Store(false)
	return t, nil
}

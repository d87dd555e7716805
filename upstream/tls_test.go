package upstream

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"slices"
	"syscall"
	"testing"
)

// tcpPair returns both ends of a TCP connection.
func tcpPair(t testing.TB) (client, server *net.TCPConn) {
	t.Helper()
	ln, err := listenTCP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = ln.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	client = c.(*net.TCPConn)
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

type served struct {
	conn *tls.Conn
	err  error
}

// handshakes runs both sides of a handshake over a new connection.
func handshakes(t testing.TB, client, server *tls.Config) (cli, srv served) {
	t.Helper()
	c, s := tcpPair(t)
	done := make(chan served, 1)
	go func() {
		conn, err := egressHandshake(context.Background(), s, server)
		done <- served{conn, err}
	}()
	conn, err := clientHandshake(t.Context(), c, client)
	return served{conn, err}, <-done
}

func allow(keys ...PublicKey) func(PublicKey) bool {
	return func(k PublicKey) bool { return slices.ContainsFunc(keys, k.equal) }
}

func TestHandshake(t *testing.T) {
	client, egress := newIdentity(t), newIdentity(t)
	for _, protocol := range []string{alpnSession, alpnStream} {
		cc, err := clientTLS(client, newPin(egress.Public()), protocol)
		if err != nil {
			t.Fatal(err)
		}
		ec, err := egressTLS(egress, allow(newIdentity(t).Public(), client.Public()))
		if err != nil {
			t.Fatal(err)
		}
		cli, srv := handshakes(t, cc, ec)
		if cli.err != nil || srv.err != nil {
			t.Fatalf("handshake for %s: client %v, egress %v", protocol, cli.err, srv.err)
		}
		st := srv.conn.ConnectionState()
		if st.Version != tls.VersionTLS13 || st.NegotiatedProtocol != protocol || st.ServerName != "" {
			t.Errorf("state = TLS %x, ALPN %q, name %q, want TLS 1.3, %s, no name", st.Version, st.NegotiatedProtocol, st.ServerName, protocol)
		}
		if key, err := peerKey(st); err != nil || key != client.Public() {
			t.Errorf("peerKey = %v, %v, want the client's", key, err)
		}
		mine, err1 := binding(cli.conn)
		theirs, err2 := binding(srv.conn)
		if err1 != nil || err2 != nil || len(mine) != 32 || !bytes.Equal(mine, theirs) {
			t.Errorf("bindings = %x (%v) and %x (%v), want the same 32 bytes", mine, err1, theirs, err2)
		}
		// Another connection between the same two has another binding.
		cli2, srv2 := handshakes(t, cc, ec)
		if other, err := binding(cli2.conn); err != nil || bytes.Equal(mine, other) {
			t.Errorf("binding of a second connection = %x, %v, want another one", other, err)
		}
		srv2.conn.Close()
	}
}

// wrongKind is a certificate that is no Ed25519 key.
func wrongKind(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestHandshakeRefused(t *testing.T) {
	client, egress, other := newIdentity(t), newIdentity(t), newIdentity(t)
	for _, c := range []struct {
		name   string
		pinned PublicKey // what the client takes the egress's key to be
		known  PublicKey // whom the egress knows
		change func(client, egress *tls.Config)
		client error // nil: not looked at
		reason string
	}{
		{"wrong egress key", other.Public(), client.Public(), nil, ErrWrongEgressKey, refusedOther},
		{"unknown client", egress.Public(), other.Public(), nil, nil, refusedUnknown},
		{
			"client without a certificate", egress.Public(), client.Public(),
			func(c, _ *tls.Config) { c.Certificates = nil }, nil, refusedOther,
		},
		{
			"client with another kind of key", egress.Public(), client.Public(),
			func(c, _ *tls.Config) { c.Certificates = []tls.Certificate{wrongKind(t)} }, nil, refusedUnknown,
		},
		{
			"egress with another kind of key", egress.Public(), client.Public(),
			func(_, e *tls.Config) { e.Certificates = []tls.Certificate{wrongKind(t)} }, errNoKey, refusedOther,
		},
		{
			"other protocol", egress.Public(), client.Public(),
			func(c, _ *tls.Config) { c.NextProtos = []string{"h2"} }, nil, refusedOther,
		},
		{
			"no protocol", egress.Public(), client.Public(),
			func(c, _ *tls.Config) { c.NextProtos = nil }, errProtocol, "",
		},
		{
			"TLS 1.2", egress.Public(), client.Public(),
			func(c, _ *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }, nil, refusedOther,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			cc, err := clientTLS(client, newPin(c.pinned), alpnSession)
			if err != nil {
				t.Fatal(err)
			}
			ec, err := egressTLS(egress, allow(c.known))
			if err != nil {
				t.Fatal(err)
			}
			if c.change != nil {
				c.change(cc, ec)
			}
			cli, srv := handshakes(t, cc, ec)
			if srv.err == nil {
				t.Fatal("the egress let the client in")
			}
			if got := refusalOf(srv.err); c.reason != "" && got != c.reason {
				t.Errorf("refusal of %v = %s, want %s", srv.err, got, c.reason)
			}
			if c.client != nil && !errors.Is(cli.err, c.client) {
				t.Errorf("client's error = %v, want %v", cli.err, c.client)
			}
			if cli.err == nil { // TLS 1.3: the client is done before the egress has judged
				if _, err := cli.conn.Read(make([]byte, 1)); !errors.Is(err, ErrNotAdmitted) {
					t.Errorf("first read of a refused client: %v, want ErrNotAdmitted", err)
				}
			}
		})
	}
}

// TestEgressSilentToStrangers looks at the bytes on the wire: whoever is refused
// gets what every TLS server sends, and the end, but no word about why.
func TestEgressSilentToStrangers(t *testing.T) {
	client, egress := newIdentity(t), newIdentity(t)
	ec, err := egressTLS(egress, allow())
	if err != nil {
		t.Fatal(err)
	}
	for name, send := range map[string]func(c net.Conn){
		"http":         func(c net.Conn) { io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") },
		"ssh":          func(c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH_9.9\r\n") },
		"socks":        func(c net.Conn) { c.Write([]byte{5, 1, 0, 0, 0, 0}) },
		"broken hello": func(c net.Conn) { c.Write([]byte{22, 3, 1, 0, 5, 1, 0, 0, 1, 0}) },
		"alert":        func(c net.Conn) { c.Write([]byte{21, 3, 1, 0, 2, 2, 40}) },
		"nothing":      func(c net.Conn) { c.(*net.TCPConn).CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			c, s := tcpPair(t)
			done := make(chan error, 1)
			go func() {
				_, err := egressHandshake(context.Background(), s, ec)
				done <- err
			}()
			send(c)
			if err := <-done; err == nil {
				t.Fatal("the egress let a stranger in")
			}
			got, err := io.ReadAll(c)
			if len(got) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("stranger read %x, %v, want nothing", got, err)
			}
		})
	}
	for name, protocol := range map[string]string{"unknown client": alpnSession, "other protocol": "h2"} {
		t.Run(name, func(t *testing.T) {
			cc, err := clientTLS(client, newPin(egress.Public()), protocol)
			if err != nil {
				t.Fatal(err)
			}
			c, s := tcpPair(t)
			done := make(chan error, 1)
			go func() {
				_, err := egressHandshake(context.Background(), s, ec)
				done <- err
			}()
			// The wire as a scanner with a full TLS library sees it.
			tap := &tappedConn{Conn: c}
			tc := tls.Client(tap, cc)
			_ = tc.Handshake()
			if err := <-done; err == nil {
				t.Fatal("the egress let a stranger in")
			}
			_, err = tc.Read(make([]byte, 1))
			var alert tls.AlertError
			if err == nil || errors.As(err, &alert) {
				t.Errorf("read of a stranger: %v, want the end without an alert", err)
			}
			if protocol == "h2" && tap.read > 0 {
				t.Errorf("a stranger with another protocol read %d bytes, want none", tap.read)
			}
		})
	}
}

type tappedConn struct {
	net.Conn
	read int
}

func (c *tappedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read += n
	return n, err
}

package socks

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"

	"github.com/things-go/go-socks5"
	"github.com/things-go/go-socks5/statute"

	"github.com/mpsocks/mpsocks/internal/relay"
)

// request is what a client has asked for, in whatever protocol.
type request struct {
	command byte
	target  Target
	user    string         // who has given a password; empty: nobody
	proxy   string         // what the client speaks, a Proxy constant
	early   []byte         // what the client has sent behind its request
	owed    []byte         // answers to earlier messages, to be written before the reply
	from    netip.AddrPort // of UDP ASSOCIATE: where the client says it will send from, if it does
	answer  Target         // what a look-up has found, or what the egress has bound for BIND
	account *account       // of what comes of it; nil before it is served
	socket  bool           // at the egress: a socket to the target counts until the end
	odd     bool           // its reserved byte is not 0, which RFC 1928 section 4 wants and nobody needs
	told    bool           // what has refused it is in the log

	relay func(done relayed) // what is left to be done; nil: nothing
}

// relayed is told how a relay has ended, and the bytes that it has moved there and back.
type relayed func(up, down int64, err error)

// goesOn leaves a relay between a and b to whoever reads the request. It is started
// by him, on goroutines of its own: the stack of the one that has got so far has
// grown for what it did, and would be held for as long as the connection lives.
func (r *request) goesOn(ctx context.Context, a, b net.Conn, cfg relay.Config) {
	r.relay = func(done relayed) { relay.Start(ctx, a, b, cfg, done) }
}

// finish starts the relay that is left, or says how it ended without one.
func (r *request) finish(up, down int64, err error, done relayed) {
	if r.relay == nil {
		done(up, down, err)
		return
	}
	r.relay(done)
}

// negotiator reads SOCKS5 handshakes through go-socks5. That server is kept to
// parsing: its handlers are ours and only take the request down, so that nothing
// of its dialling, resolving, copying and logging ever runs, and what it closes is
// not the connection.
type negotiator struct{ server *socks5.Server }

func newNegotiator(auth socks5.Authenticator) *negotiator {
	return &negotiator{socks5.NewServer(
		socks5.WithAuthMethods([]socks5.Authenticator{auth}),
		socks5.WithResolver(noResolver{}),
		socks5.WithConnectHandle(takeDown),
		socks5.WithBindHandle(takeDown),
		socks5.WithAssociateHandle(takeDown),
		socks5.WithDial(func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("go-socks5 does not dial here")
		}),
		socks5.WithLogger(socks5.NewLogger(log.New(io.Discard, "", 0))),
	)}
}

// noResolver leaves names as they are: the egress resolves them.
type noResolver struct{}

func (noResolver) Resolve(ctx context.Context, _ string) (context.Context, net.IP, error) {
	return ctx, nil, nil
}

// errBadRequest is a request that go-socks5 has refused; the client is told.
var errBadRequest = errors.New("malformed socks request")

// run reads a handshake from c, of which head has been read already. The caller
// bounds its time by c's deadline. The returned request is never nil; on failure
// what it owes is the whole answer.
func (n *negotiator) run(ctx context.Context, c net.Conn, head []byte) (*request, error) {
	s := &shakeConn{Conn: c, ctx: ctx, head: head}
	err := n.server.ServeConn(s)
	switch {
	case s.request != nil && s.targetErr != nil:
		s.owed = append(s.owed, replyBytes(ReplyFor(s.targetErr), netip.AddrPort{})...)
		err = s.targetErr
	case s.request != nil && s.ioErr == nil:
		s.request.owed, s.request.user = s.owed, s.user
		s.request.early = append(s.request.early, s.head...)
		return s.request, nil
	case s.ioErr != nil:
		err = fmt.Errorf("socks handshake: %w", s.ioErr)
	case s.authenticated && !s.replied:
		// A wrong version in the request: go-socks5 says nothing.
		s.owed = append(s.owed, replyBytes(ReplyGeneralFailure, netip.AddrPort{})...)
		err = errBadRequest
	case err == nil:
		err = errBadRequest
	}
	return &request{owed: s.owed}, err
}

// takeDown is the handler of every command.
func takeDown(_ context.Context, w io.Writer, r *socks5.Request) error {
	s, ok := w.(*shakeConn)
	if !ok {
		return errors.New("go-socks5 hands another connection over")
	}
	buffered, ok := r.Reader.(*bufio.Reader)
	if !ok {
		return errors.New("go-socks5 hands another reader over")
	}
	early, err := buffered.Peek(buffered.Buffered())
	if err != nil {
		return err
	}
	s.request = &request{command: r.Command, early: append([]byte(nil), early...), odd: r.Reserved != 0}
	switch r.Command {
	case statute.CommandConnect:
		s.request.target, s.targetErr = targetOf(r.RawDestAddr)
	case statute.CommandBind: // from whom, whatever the port
		s.request.target, s.targetErr = hostOf(r.RawDestAddr)
		s.request.target.port = uint16(r.RawDestAddr.Port)
	case statute.CommandAssociate: // may name none
		s.request.target = Target{ip: netip.IPv4Unspecified()}
		s.request.from = announced(r.RawDestAddr)
	}
	return nil
}

// announced is the address of a UDP ASSOCIATE; of a name it is not known.
func announced(a *statute.AddrSpec) netip.AddrPort {
	ip, ok := netip.AddrFromSlice(a.IP)
	if !ok || a.AddrType == statute.ATYPDomain {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(a.Port))
}

// shakeConn is the connection that go-socks5 sees. Answers are held back until the
// client has to be waited for: a client that sends everything at once gets
// everything at once, too.
type shakeConn struct {
	net.Conn
	ctx  context.Context
	head []byte // read before, goes first
	owed []byte // written and held back

	user          string // who has given a password
	authenticated bool
	replied       bool  // go-socks5 has refused the request by itself
	ioErr         error // of the connection, as opposed to what was said on it
	request       *request
	targetErr     error
}

func (s *shakeConn) Read(p []byte) (int, error) {
	if len(s.head) > 0 {
		n := copy(p, s.head)
		s.head = s.head[n:]
		return n, nil
	}
	if err := s.flush(); err != nil {
		return 0, err
	}
	n, err := s.Conn.Read(p)
	if err != nil {
		s.ioErr = err
	}
	return n, err
}

func (s *shakeConn) flush() error {
	if len(s.owed) == 0 {
		return nil
	}
	_, err := s.Conn.Write(s.owed)
	s.owed = s.owed[:0]
	if err != nil {
		s.ioErr = err
	}
	return err
}

func (s *shakeConn) Write(p []byte) (int, error) {
	s.owed = append(s.owed, p...)
	s.replied = s.authenticated
	return len(p), nil
}

// Close does nothing: the connection lives on after the handshake.
func (s *shakeConn) Close() error { return nil }

// noAuth is the method "no authentication required".
type noAuth struct{}

func (noAuth) GetCode() uint8 { return statute.MethodNoAuth }

func (noAuth) Authenticate(r io.Reader, w io.Writer, _ string) (*socks5.AuthContext, error) {
	if _, err := w.Write([]byte{statute.VersionSocks5, statute.MethodNoAuth}); err != nil {
		return nil, err
	}
	return authenticated(r, w, statute.MethodNoAuth)
}

// authenticated marks the connection behind w, and looks at the request that comes next.
func authenticated(r io.Reader, w io.Writer, method byte) (*socks5.AuthContext, error) {
	s, ok := w.(*shakeConn)
	if !ok {
		return nil, errors.New("go-socks5 hands another connection over")
	}
	buffered, ok := r.(*bufio.Reader)
	if !ok {
		return nil, errors.New("go-socks5 hands another reader over")
	}
	s.authenticated = true
	if err := s.takeResolve(buffered); err != nil {
		return nil, err
	}
	return &socks5.AuthContext{Method: method}, nil
}

// replyBytes returns a reply (RFC 1928 section 6). A bound address that is not
// known is 0.0.0.0:0, as in every refusal.
func replyBytes(r Reply, bound netip.AddrPort) []byte {
	ip := bound.Addr().Unmap()
	if r != ReplySucceeded || !ip.IsValid() {
		ip, bound = netip.IPv4Unspecified(), netip.AddrPort{}
	}
	t := Target{ip: ip.WithZone(""), port: bound.Port()}
	return t.appendTo([]byte{statute.VersionSocks5, byte(r), 0})
}

// boundAddr returns the local address of a connection, invalid if it is not one of
// IP and port.
func boundAddr(c net.Conn) netip.AddrPort {
	if a, ok := c.LocalAddr().(*net.TCPAddr); ok && a != nil {
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

package upstream

import (
	"crypto/subtle"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
)

const (
	// verifyPatience is how long the first path of a first contact waits for the second:
	// longer than the slowest takes to connect and to ask.
	verifyPatience = time.Minute
	// maxVerify bounds the connections of one client's first contacts: two attempts over
	// all the paths that a client can have.
	maxVerify = 2 * maxPaths
)

// verifier is the egress's memory of first contacts: which connections clients have
// named as their first path's.
type verifier struct {
	mu    sync.Mutex
	conns map[PublicKey]int // of each client
	held  map[heldName]heldPath
}

type heldName struct {
	client PublicKey
	id     contactID
}

// heldPath is what the egress has seen of a first path.
type heldPath struct {
	binding []byte
	remote  net.Addr
}

func newVerifier() *verifier {
	return &verifier{conns: make(map[PublicKey]int), held: make(map[heldName]heldPath)}
}

// enter counts a connection; false: the client has too many.
func (v *verifier) enter(client PublicKey) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.conns[client] >= maxVerify {
		return false
	}
	v.conns[client]++
	return true
}

func (v *verifier) leave(client PublicKey) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.conns[client]--; v.conns[client] == 0 {
		delete(v.conns, client)
	}
}

// hold notes a first path; false: there is one of that name.
func (v *verifier) hold(n heldName, p heldPath) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.held[n]; ok {
		return false
	}
	v.held[n] = p
	return true
}

func (v *verifier) release(n heldName) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.held, n)
}

func (v *verifier) find(n heldName) (heldPath, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p, ok := v.held[n]
	return p, ok
}

// serveVerify serves a connection of a first contact until the client is done with it.
func (e *Egress) serveVerify(conn *tls.Conn, c *net.TCPConn, client ClientKey) {
	defer func() { _ = tcpsock.Abort(c) }()
	if !e.verifier.enter(client.Key) {
		e.log.Debug("first contact refused", "client", client.Name, "remote", c.RemoteAddr(), "reason", refusedMany)
		return
	}
	defer e.verifier.leave(client.Key)
	l := &link{client: client, transport: TransportTCP, end: func() { _ = tcpsock.Abort(c) }, status: func() egressLink { return egressLink{} }}
	if !e.join(l) {
		return
	}
	defer e.leave(l)
	_ = c.SetDeadline(time.Now().Add(verifyPatience))
	secret, err := binding(conn)
	if err == nil {
		err = e.answerVerify(conn, c.RemoteAddr(), client, secret)
	}
	if err != nil {
		e.log.Debug("first contact ended", "client", client.Name, "remote", c.RemoteAddr(), "err", err)
	}
}

// answerVerify answers the one question of a connection and waits for its end.
func (e *Egress) answerVerify(conn *tls.Conn, remote net.Addr, client ClientKey, secret []byte) error {
	m, err := readVerify(conn)
	if err != nil {
		return err
	}
	name := heldName{client.Key, m.id}
	answer := verifyMessage{kind: verifyHeld}
	switch m.kind {
	case verifyHold:
		if !e.verifier.hold(name, heldPath{secret, remote}) {
			return errVerifyKind
		}
		defer e.verifier.release(name)
	case verifyCheck:
		answer = e.compare(m, name, remote, client, secret)
	default:
		return errVerifyKind
	}
	if err := answer.send(conn); err != nil {
		return err
	}
	_, _ = io.ReadFull(conn, make([]byte, 1)) // the client hangs up; anything else ends it too
	return nil
}

// compare says whether the client has seen on both paths what the egress has.
func (e *Egress) compare(m verifyMessage, name heldName, remote net.Addr, client ClientKey, secret []byte) verifyMessage {
	first, ok := e.verifier.find(name)
	if !ok {
		e.log.Warn("first contact: the client's first path does not lead here; somebody may be in between", "client", client.Name, "remote", remote)
		return verifyMessage{kind: verifyUnknown}
	}
	s := seen{id: m.id, client: client.Key, egress: e.cfg.Identity.Public(), first: first.binding, second: secret}
	want := s.hash(clientSaw)
	if subtle.ConstantTimeCompare(m.hash[:], want[:]) != 1 {
		e.log.Warn("first contact: the client has seen something else on its first path; somebody may be in between",
			"client", client.Name, "remote", remote, "first", first.remote)
		return verifyMessage{kind: verifyDiffers}
	}
	e.log.Info("first contact: both paths are the client's", "client", client.Name, "remote", remote, "first", first.remote)
	return verifyMessage{kind: verifySame, hash: s.hash(egressSaw)}
}

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/mpsocks/mpsocks/bench/lab"
)

// labTargetServer is the web server that the programs of a bed talk to.
//
//	GET /?id=ID&every=D  a piece of 16 KiB every D
//	GET /?id=ID&size=N   the first N bytes of the stream; without size it ends after enough(ID)
//	PUT /?id=ID          answers the hash of the body
type labTargetServer struct {
	http   *http.Server
	active atomic.Int32 // requests being served

	mu    sync.Mutex
	flows map[string]*labFlow
}

// labFlow is one transfer as the target sees it.
type labFlow struct {
	meter
	enough chan struct{} // closed when an endless one is to end
}

// newLabTarget serves until the test ends.
func newLabTarget(t *testing.T, ns *lab.Namespace) *labTargetServer {
	t.Helper()
	ln, err := ns.Listen("tcp", labTarget)
	if err != nil {
		t.Fatal(err)
	}
	s := &labTargetServer{flows: make(map[string]*labFlow)}
	s.http = &http.Server{Handler: s, ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		shorten(c)
		return ctx
	}}
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(ln) }()
	t.Cleanup(func() {
		_ = s.http.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return s
}

// shorten keeps little in the kernel's buffers of a connection, so that what has
// been given to it is about what has gone through, and the end comes soon.
func shorten(c net.Conn) {
	_ = c.(*net.TCPConn).SetReadBuffer(256 << 10)
	_ = c.(*net.TCPConn).SetWriteBuffer(256 << 10)
}

// flow returns the transfer of that name, which exists from when it is first
// asked for.
func (s *labTargetServer) flow(id string) *labFlow {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.flows[id]
	if f == nil {
		f = &labFlow{enough: make(chan struct{})}
		s.flows[id] = f
	}
	return f
}

// ServeHTTP implements http.Handler.
func (s *labTargetServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.active.Add(1)
	defer s.active.Add(-1)
	f := s.flow(r.FormValue("id"))
	if r.Method == http.MethodPut {
		f.start()
		h := sha256.New()
		if n, err := io.Copy(io.MultiWriter(h, f), r.Body); err == nil {
			fmt.Fprint(w, described(n, h))
		}
		return
	}
	if size := r.FormValue("size"); size != "" {
		n, _ := strconv.ParseInt(size, 10, 64)
		w.Header().Set("Content-Length", size)
		_, _ = io.CopyN(w, newStream(), n)
		return
	}
	from := newStream()
	if every, err := time.ParseDuration(r.FormValue("every")); err == nil {
		from = &pacedReader{from, time.NewTicker(every)}
		_, _ = io.CopyBuffer(struct{ io.Writer }{flushed{w}}, &until{from, f.enough, r.Context().Done()}, make([]byte, pacedPiece))
		return
	}
	if _, err := io.Copy(w, &until{from, f.enough, r.Context().Done()}); err != nil {
		panic(http.ErrAbortHandler) // not a clean end
	}
}

// described is how the two ends compare what one has sent and the other has got.
func described(n int64, h hash.Hash) string { return fmt.Sprintf("%d bytes, sha256 %x", n, h.Sum(nil)) }

// wanted describes the first n bytes of the stream.
func wanted(n int64) string {
	h := sha256.New()
	_, _ = io.CopyN(h, newStream(), n)
	return described(n, h)
}

// newStream is what is sent: endless, the same each time, different everywhere.
func newStream() io.Reader { return rand.NewChaCha8([32]byte{1}) }

// pacedPiece is what a paced stream has at a time.
const pacedPiece = 16 << 10

// pacedReader has one piece at each tick.
type pacedReader struct {
	io.Reader
	tick *time.Ticker
}

// Read implements io.Reader.
func (p *pacedReader) Read(b []byte) (int, error) {
	<-p.tick.C
	return p.Reader.Read(b)
}

// flushed sends at once what is written.
type flushed struct{ w http.ResponseWriter }

// Write implements io.Writer.
func (f flushed) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	if err == nil {
		err = http.NewResponseController(f.w).Flush()
	}
	return n, err
}

// until reads from a stream until told that it is enough, which is the end, or
// that nobody wants it any more.
type until struct {
	from         io.Reader
	enough, gone <-chan struct{}
}

// Read implements io.Reader.
func (u *until) Read(b []byte) (int, error) {
	select {
	case <-u.enough:
		return 0, io.EOF
	case <-u.gone:
		return 0, os.ErrClosed
	default:
		return u.from.Read(b)
	}
}

// meter counts bytes and knows the longest time in which none came.
type meter struct {
	mu      sync.Mutex
	bytes   int64
	last    time.Time
	longest time.Duration
}

// start begins to measure anew.
func (m *meter) start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last, m.longest = time.Now(), 0
}

// Write implements io.Writer.
func (m *meter) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if !m.last.IsZero() {
		m.longest = max(m.longest, now.Sub(m.last))
	}
	m.last = now
	m.bytes += int64(len(b))
	return len(b), nil
}

// count returns the bytes so far.
func (m *meter) count() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bytes
}

// stall returns the longest stall since start, the present one included.
func (m *meter) stall() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last.IsZero() {
		return m.longest
	}
	return max(m.longest, time.Since(m.last))
}

// labName is the name that the bed's resolver knows; there are no others.
const labName = "target.lab"

// fakeResolver gives the egress a resolver of its own, that knows labName: what
// is reached is named at the egress, and the machine's resolver may be anything.
// The words it returns start a command so that it uses it.
func fakeResolver(t *testing.T, b *bed) []string {
	t.Helper()
	pc, err := b.lab.Server().ListenPacket("udp", labServer+":53")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		serveNames(pc)
	}()
	t.Cleanup(func() {
		_ = pc.Close()
		<-done
	})
	file := write(t, b.dir, "resolv.conf", "nameserver "+labServer+"\n")
	return []string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" /etc/resolv.conf && exec "$@"`, file}
}

// serveNames answers until pc is closed.
func serveNames(pc net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return
		}
		if answer, err := answerName(buf[:n]); err == nil {
			_, _ = pc.WriteTo(answer, from)
		}
	}
}

func answerName(query []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
		return nil, errors.Join(err, errors.New("not one question"))
	}
	q := m.Questions[0]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	switch {
	case q.Name.String() == "broken.lab.":
		m.RCode = dnsmessage.RCodeServerFailure
	case q.Name.String() != labName+".":
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		a := [4]byte(net.ParseIP(labServer).To4())
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, Type: q.Type, TTL: 60},
			Body:   &dnsmessage.AResource{A: a},
		}}
	}
	return m.Pack()
}

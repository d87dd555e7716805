package upstream

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestTransports is what every transport has to do, one test for all of them: the
// programs above see no difference.
func TestTransports(t *testing.T) {
	for name, f := range map[string]func(t *testing.T, transport string){
		"hashes":             suiteHashes,
		"concurrency":        suiteConcurrency,
		"half-close, client": suiteHalfCloseClient,
		"half-close, egress": suiteHalfCloseEgress,
		"end at once":        suiteEndAtOnce,
		"resets":             suiteResets,
		"close while busy":   suiteCloseWhileBusy,
		"deadlines":          suiteDeadlines,
		"handler's context":  suiteHandlerContext,
		"client removed":     suiteClientRemoved,
		"wrong egress key":   suiteWrongEgressKey,
		"unknown client":     suiteUnknownClient,
		"silent egress":      suiteSilentEgress,
		"end of the client":  suiteEndOfClient,
	} {
		t.Run(name, func(t *testing.T) { transports(t, f) })
	}
}

// pair starts an egress with that handler and a client.
func pair(t *testing.T, transport string, handle func(ctx context.Context, c net.Conn, client string) error) (*Egress, *Client) {
	t.Helper()
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, func(c *EgressConfig) { c.Handle = handler(handle) })
	return e, startClient(t, id, e, func(c *ClientConfig) {
		c.Transport, c.Paths, c.DialWait = transport, loopbackPaths(2), patience
	})
}

// stream is what every transport's streams are.
type stream interface {
	net.Conn
	CloseWrite() error
	Reset() error
}

func dialStream(t *testing.T, c *Client) stream {
	t.Helper()
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(stream)
}

// noise is n bytes that differ everywhere, and their hash.
func noise(seed uint64, n int) (io.Reader, hash.Hash) {
	h := sha256.New()
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	return io.TeeReader(io.LimitReader(r, int64(n)), h), h
}

// hashing answers with the hash of what comes, and then with as much noise.
func hashing(_ context.Context, c net.Conn, _ string) error {
	h := sha256.New()
	n, err := io.Copy(h, c)
	if err != nil {
		return err
	}
	if _, err := c.Write(h.Sum(nil)); err != nil {
		return err
	}
	r, sent := noise(uint64(n), int(n))
	if _, err := io.Copy(c, r); err != nil {
		return err
	}
	if _, err := c.Write(sent.Sum(nil)); err != nil {
		return err
	}
	return c.(stream).CloseWrite()
}

// exchange sends n bytes to hashing and checks what comes back.
func exchange(c *Client, seed uint64, n int) error {
	conn, err := c.Dial(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	r, sent := noise(seed, n)
	if _, err := io.Copy(conn, r); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	if err := conn.(stream).CloseWrite(); err != nil {
		return fmt.Errorf("end: %w", err)
	}
	var theirs [sha256.Size]byte
	if _, err := io.ReadFull(conn, theirs[:]); err != nil || [32]byte(sent.Sum(nil)) != theirs {
		return fmt.Errorf("hash of %d bytes sent: %x, %w, want %x", n, theirs, err, sent.Sum(nil))
	}
	got := sha256.New()
	if _, err := io.CopyN(got, conn, int64(n)); err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	if _, err := io.ReadFull(conn, theirs[:]); err != nil || [32]byte(got.Sum(nil)) != theirs {
		return fmt.Errorf("hash of %d bytes received: %x, %w, want %x", n, got.Sum(nil), err, theirs)
	}
	if m, err := conn.Read(theirs[:]); m != 0 || err != io.EOF {
		return fmt.Errorf("after the end: %d bytes, %w", m, err)
	}
	return nil
}

func suiteHashes(t *testing.T, transport string) {
	_, c := pair(t, transport, hashing)
	for _, n := range []int{0, 1, 1000, 16 << 10, 70_001, 3 << 20} {
		if err := exchange(c, uint64(n), n); err != nil {
			t.Error(err)
		}
	}
}

func suiteConcurrency(t *testing.T, transport string) {
	e, c := pair(t, transport, hashing)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if err := exchange(c, uint64(i), 500*i); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	eventually(t, "all streams have ended", func() bool {
		return c.Status().Session.Streams == 0 && e.Status().Session.Streams == 0
	})
}

// suiteHalfCloseClient ends the client's direction; the other goes on for long.
func suiteHalfCloseClient(t *testing.T, transport string) {
	const n = 2 << 20
	_, c := pair(t, transport, func(_ context.Context, c net.Conn, _ string) error {
		if _, err := io.Copy(io.Discard, c); err != nil {
			return err
		}
		r, _ := noise(1, n)
		_, err := io.Copy(c, r)
		return errors.Join(err, c.(stream).CloseWrite())
	})
	conn := dialStream(t, c)
	io.WriteString(conn, "request")
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("x")); err == nil {
		t.Error("write after CloseWrite: no error")
	}
	if got, err := io.Copy(io.Discard, conn); err != nil || got != n {
		t.Errorf("read %d bytes, %v, want %d and the end", got, err, n)
	}
}

// suiteHalfCloseEgress ends the egress's direction first.
func suiteHalfCloseEgress(t *testing.T, transport string) {
	const n = 2 << 20
	arrived := make(chan int64, 1)
	_, c := pair(t, transport, func(_ context.Context, c net.Conn, _ string) error {
		if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
			return err
		}
		io.WriteString(c, "answer")
		if err := c.(stream).CloseWrite(); err != nil {
			return err
		}
		got, err := io.Copy(io.Discard, c)
		arrived <- got
		return err
	})
	conn := dialStream(t, c)
	io.WriteString(conn, "begin")
	if got, err := io.ReadAll(conn); err != nil || string(got) != "answer" {
		t.Fatalf("read %q, %v, want the answer and the end", got, err)
	}
	r, _ := noise(2, n)
	if _, err := io.Copy(conn, r); err != nil {
		t.Errorf("write after the egress's end: %v", err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Error(err)
	}
	if got := <-arrived; got != n {
		t.Errorf("%d bytes arrived, want %d", got, n)
	}
}

// suiteEndAtOnce sends nothing but the end.
func suiteEndAtOnce(t *testing.T, transport string) {
	_, c := pair(t, transport, echo)
	conn := dialStream(t, c)
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); err != nil || len(got) > 0 {
		t.Errorf("read %q, %v, want the end", got, err)
	}
}

// suiteResets breaks streams off in the middle of a transfer, from both sides: what
// arrived before must not look like all there is.
func suiteResets(t *testing.T, transport string) {
	broken := make(chan error, 1)
	_, c := pair(t, transport, func(_ context.Context, c net.Conn, _ string) error {
		var b [1]byte
		if _, err := io.ReadFull(c, b[:]); err != nil {
			return err
		}
		r, _ := noise(3, 100_000)
		_, err := io.Copy(c, r)
		if b[0] == 'r' {
			return c.(stream).Reset()
		}
		if err == nil { // the kernel tells of a reset once
			_, err = io.Copy(io.Discard, c)
		}
		broken <- err
		return err
	})
	conn := dialStream(t, c)
	io.WriteString(conn, "r")
	if _, err := io.Copy(io.Discard, conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read up to the egress's reset: %v, want ECONNRESET", err)
	}
	eventually(t, "writes fail too", func() bool {
		_, err := conn.Write([]byte("x"))
		return err != nil
	})
	conn = dialStream(t, c)
	io.WriteString(conn, "w")
	io.ReadFull(conn, make([]byte, 1000))
	if err := conn.Reset(); err != nil {
		t.Fatal(err)
	}
	if err := <-broken; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read at the egress after the client's reset: %v, want ECONNRESET", err)
	}
	if _, err := io.Copy(io.Discard, conn); err == nil {
		t.Error("read after our own reset came to an end, want an error")
	}
}

// suiteCloseWhileBusy closes a stream while a write waits for a reader that does
// not read: write and reader end. Over TLS and QUIC the egress does not take what
// it got for all there is, which plain TCP could not tell either.
func suiteCloseWhileBusy(t *testing.T, transport string) {
	const n = 64 << 20 // more than fits anywhere
	busy, closed, broken := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	_, c := pair(t, transport, func(_ context.Context, c net.Conn, _ string) error {
		_, err := io.ReadFull(c, make([]byte, 1<<20))
		close(busy)
		<-closed
		if err == nil {
			_, err = io.Copy(io.Discard, c)
		}
		broken <- err
		return err
	})
	conn := dialStream(t, c)
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Write(make([]byte, n))
		ended <- err
	}()
	<-busy
	conn.Close()
	if err := <-ended; err == nil {
		t.Error("the write: no error")
	}
	close(closed)
	if err := <-broken; err == nil && transport != TransportMPTCP {
		t.Error("the egress read an end, want an error: the write was cut short")
	}
}

func suiteDeadlines(t *testing.T, transport string) {
	_, c := pair(t, transport, echo)
	conn := dialStream(t, c)
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := conn.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("read beyond the deadline: %v, want a time-out", err)
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "x")
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Errorf("read after a deadline: %v", err)
	}
}

// suiteHandlerContext ends a client; the handlers of its streams have to learn.
func suiteHandlerContext(t *testing.T, transport string) {
	began, ended := make(chan struct{}), make(chan struct{})
	_, c := pair(t, transport, func(ctx context.Context, c net.Conn, _ string) error {
		io.ReadFull(c, make([]byte, 1))
		close(began)
		_, err := c.Read(make([]byte, 1))
		close(ended)
		return err
	})
	conn := dialStream(t, c)
	io.WriteString(conn, "x")
	<-began
	c.Close()
	<-ended
}

func suiteClientRemoved(t *testing.T, transport string) {
	e, c := pair(t, transport, echo)
	conn := dialStream(t, c)
	io.WriteString(conn, "x")
	io.ReadFull(conn, make([]byte, 1))
	if err := e.SetClients(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read after the client was removed: %v, want ECONNRESET", err)
	}
	eventually(t, "nothing of the client is left", func() bool { return e.Status().Session.Streams == 0 })
	wantRefused(t, c)
}

// wantRefused wants the client to be kept out, whether that shows when it dials or
// when it reads.
func wantRefused(t *testing.T, c *Client) {
	t.Helper()
	eventually(t, "the client is refused", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		conn, err := c.Dial(ctx)
		if err != nil {
			return errors.Is(err, ErrEgressDown) || errors.Is(err, ErrNotAdmitted)
		}
		defer conn.Close()
		_, err = conn.Read(make([]byte, 1))
		return errors.Is(err, ErrNotAdmitted) || errors.Is(err, syscall.ECONNRESET)
	})
}

func suiteUnknownClient(t *testing.T, transport string) {
	j := newJournal()
	known, unknown := newIdentity(t), newIdentity(t)
	handled := make(chan struct{}, 100)
	e, _ := startEgress(t, []Identity{known}, func(c *EgressConfig) {
		c.Logger = j.logger()
		c.Handle = handler(func(context.Context, net.Conn, string) error {
			handled <- struct{}{}
			return nil
		})
	})
	c := startClient(t, unknown, e, func(c *ClientConfig) { c.Transport, c.DialWait = transport, 200*time.Millisecond })
	wantRefused(t, c)
	j.wait(t, "WARN connection refused", "reason="+refusedUnknown, unknown.Public().String())
	if len(handled) > 0 {
		t.Error("a stream of an unknown client was handled")
	}
}

func suiteWrongEgressKey(t *testing.T, transport string) {
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, nil)
	c := startClient(t, id, e, func(c *ClientConfig) {
		c.Transport, c.EgressKey, c.DialWait = transport, newIdentity(t).Public(), 500*time.Millisecond
	})
	eventually(t, "Dial fails for the key", func() bool {
		_, err := c.Dial(t.Context())
		if err == nil {
			t.Fatal("Dial to an egress with another key: no error")
		}
		return errors.Is(err, ErrEgressDown) && errors.Is(err, ErrWrongEgressKey)
	})
}

// suiteSilentEgress dials an address at which nothing is ever said.
func suiteSilentEgress(t *testing.T, transport string) {
	tcp := silent(t)
	udp, err := net.ListenPacket("udp", tcp)
	if err != nil {
		t.Skipf("the UDP port of the same number is taken: %v", err)
	}
	defer udp.Close()
	c, err := NewClient(ClientConfig{
		Egress: []string{tcp}, EgressKey: newIdentity(t).Public(), Identity: newIdentity(t),
		Transport: transport, DialWait: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Dial(t.Context()); !errors.Is(err, ErrEgressDown) {
		t.Errorf("Dial = %v, want ErrEgressDown", err)
	}
}

func suiteEndOfClient(t *testing.T, transport string) {
	e, c := pair(t, transport, echo)
	conn := dialStream(t, c)
	io.WriteString(conn, "x")
	io.ReadFull(conn, make([]byte, 1))
	c.Close()
	if _, err := conn.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("read after the client's end: %v, want an error that is no end", err)
	}
	if _, err := c.Dial(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("Dial after the client's end: %v, want ErrClosed", err)
	}
	eventually(t, "the egress has noticed", func() bool { return e.Status().Session.Streams == 0 })
}

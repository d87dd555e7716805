package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// replyError is a SOCKS5 reply other than success.
type replyError byte

func (e replyError) Error() string { return fmt.Sprintf("SOCKS5 reply %d", byte(e)) }

// socks connects to addr through the client's SOCKS5 port.
func (b *bed) socks(ctx context.Context, _, addr string) (net.Conn, error) {
	return b.socksAt(ctx, labSocks, addr)
}

func (b *bed) socksAt(ctx context.Context, proxy, addr string) (net.Conn, error) {
	c, err := b.lab.Client().Dial(ctx, "tcp", proxy)
	if err != nil {
		return nil, err
	}
	shorten(c)
	if err := socksConnect(c, addr); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// socksConnect asks for addr, as RFC 1928 sections 3 to 6 say.
func socksConnect(c net.Conn, addr string) error {
	_ = c.SetDeadline(time.Now().Add(patience))
	defer func() { _ = c.SetDeadline(time.Time{}) }()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return err
	}
	ask := []byte{5, 1, 0, 5, 1, 0}
	if ip := net.ParseIP(host).To4(); ip != nil {
		ask = append(append(ask, 1), ip...)
	} else {
		ask = append(append(ask, 3, byte(len(host))), host...)
	}
	ask = binary.BigEndian.AppendUint16(ask, uint16(n))
	if _, err := c.Write(ask); err != nil {
		return err
	}
	answer := make([]byte, 2+4+4+2) // to IPv4, which is all there is in a bed
	if _, err := io.ReadFull(c, answer); err != nil {
		return fmt.Errorf("read the reply: %w", err)
	}
	if answer[3] != 0 {
		return replyError(answer[3])
	}
	return nil
}

// connect connects to addr through HTTP CONNECT on the same port.
func (b *bed) connect(ctx context.Context, _, addr string) (net.Conn, error) {
	c, err := b.lab.Client().Dial(ctx, "tcp", labSocks)
	if err != nil {
		return nil, err
	}
	shorten(c)
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", addr, addr)
	r := bufio.NewReaderSize(c, 4096)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err == nil && (resp.StatusCode != http.StatusOK || r.Buffered() > 0) {
		err = fmt.Errorf("CONNECT: %v", resp.Status)
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// dialFunc is socks or connect.
type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// through is an HTTP client that makes one connection for each request.
func through(dial dialFunc) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true, DisableCompression: true}}
}

// transfer is a download or an upload under way.
type transfer struct {
	name    string
	at      *meter // where it arrives
	enough  func() // ends it, if it is endless; may be called more than once
	cancel  context.CancelFunc
	started time.Time
	done    chan struct{} // closed at the end
	err     error         // to be read after done
	took    time.Duration // same
}

var flowNumber struct {
	sync.Mutex
	n int
}

// newTransfer names a transfer. It is cut if the test ends first.
func newTransfer(t *testing.T, b *bed, kind string) (x *transfer, ctx context.Context, url string, f *labFlow) {
	flowNumber.Lock()
	flowNumber.n++
	id := fmt.Sprintf("%s%d", kind, flowNumber.n)
	flowNumber.Unlock()
	f = b.target.flow(id)
	x = &transfer{name: id, done: make(chan struct{}), started: time.Now(), enough: sync.OnceFunc(func() { close(f.enough) })}
	ctx, x.cancel = context.WithCancel(context.Background())
	t.Cleanup(func() {
		x.enough()
		x.cancel()
		<-x.done
	})
	return x, ctx, "http://" + labTarget + "/?id=" + id, f
}

// download starts one of so many bytes, or, with size 0, one that goes on until
// told that it is enough.
func (b *bed) download(t *testing.T, dial dialFunc, size int64) *transfer {
	x, ctx, url, _ := newTransfer(t, b, "down")
	if size > 0 {
		url += fmt.Sprint("&size=", size)
	}
	x.at = &meter{}
	go x.run(func() error { return download(ctx, through(dial), url, size, x.at) })
	return x
}

// upload is download the other way.
func (b *bed) upload(t *testing.T, dial dialFunc, size int64) *transfer {
	x, ctx, url, f := newTransfer(t, b, "up")
	x.at = &f.meter
	body := &counted{from: &until{newStream(), f.enough, ctx.Done()}}
	if size > 0 {
		body.from = io.LimitReader(body.from, size)
	}
	go x.run(func() error { return upload(ctx, through(dial), url, body) })
	return x
}

func (x *transfer) run(f func() error) {
	defer close(x.done)
	defer x.cancel()
	x.err = f()
	x.took = time.Since(x.started)
}

// download fetches all of size bytes, or of what there is, and checks it.
func download(ctx context.Context, c *http.Client, url string, size int64, m *meter) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	h := sha256.New()
	m.start()
	n, err := io.Copy(io.MultiWriter(h, m), resp.Body)
	if err != nil {
		return fmt.Errorf("after %d bytes: %w", n, err)
	}
	if size == 0 {
		size = n
	}
	if got, want := described(n, h), wanted(size); got != want || n == 0 {
		return fmt.Errorf("got %s, want %s", got, want)
	}
	return nil
}

// upload sends what is in body and has the target say what it got.
func upload(ctx context.Context, c *http.Client, url string, body *counted) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, io.NopCloser(body))
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if want := wanted(body.n.Load()); string(got) != want {
		return fmt.Errorf("target got %q, want %s", got, want)
	}
	return nil
}

// counted counts what is read from a reader.
type counted struct {
	from io.Reader
	n    atomic.Int64
}

// Read implements io.Reader.
func (c *counted) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// moves waits until n more bytes have arrived.
func (x *transfer) moves(t *testing.T, n int64) {
	t.Helper()
	goal := x.at.count() + n
	eventually(t, fmt.Sprintf("%s reaches %d bytes", x.name, goal), func() bool {
		select {
		case <-x.done:
			if x.at.count() < goal {
				t.Fatalf("%s ended at %d bytes: %v", x.name, x.at.count(), x.err)
			}
		default:
		}
		return x.at.count() >= goal
	})
}

// ended waits for the end and returns its error.
func (x *transfer) ended(t *testing.T) error {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-x.done:
		return x.err
	case <-late.C:
		t.Fatalf("%s did not end; it is at %d bytes", x.name, x.at.count())
		return nil
	}
}

// finish ends an endless transfer and checks every byte.
func (x *transfer) finish(t *testing.T) {
	t.Helper()
	x.enough()
	if err := x.ended(t); err != nil {
		t.Fatalf("%s: %v", x.name, err)
	}
}

// goodput is in Mbit/s; to be asked after the end.
func (x *transfer) goodput() float64 { return float64(x.at.count()) * 8 / 1e6 / x.took.Seconds() }

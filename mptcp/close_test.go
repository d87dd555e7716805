package mptcp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/internal/netsim"
)

// Close returns soon, whatever state its paths are in.
func TestCloseStuck(t *testing.T) {
	for name, stick := range map[string]func(*world){
		"idle":   func(*world) {},
		"cut":    func(w *world) { w.paths[0].Cut(); w.paths[1].Cut() },
		"no way": func(w *world) { w.paths[0].CutUp(); w.paths[1].CutDown() },
		"none left": func(w *world) {
			for i, p := range w.paths {
				w.shut(i)
				p.Reset()
			}
		},
		"dialling": func(w *world) { w.paths[1].Cut(); w.paths[1].Reset() },
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, up bool) {
				w := dialled(t, nil, wan, netsim.Link{Rate: 125000, Delay: 300 * time.Millisecond, Buffer: 20000})
				from, to := w.ends(up)
				sent := make(chan error)
				go func() { sent <- push(from, 1<<40) }()
				time.Sleep(time.Second)
				stick(w)
				time.Sleep(3 * time.Second)
				for _, s := range []*Session{from.Session(), to.Session()} {
					began := time.Now()
					s.Close()
					s.Close() // again, for nothing
					if took := time.Since(began); took > closeFlush+100*time.Millisecond {
						t.Errorf("Close took %v, want a second at most", took)
					}
				}
				if err := <-sent; err == nil {
					t.Error("the writer saw no error")
				}
				if n := w.paths[0].Conns() + w.paths[1].Conns(); n > 0 {
					t.Errorf("%d ends of connections are open", n)
				}
			})
		})
	}
}

// gateConn is a connection whose reader stops taking, while it is open.
type gateConn struct {
	net.Conn
	once   sync.Once
	stop   <-chan struct{}
	closed chan struct{}
}

func (c *gateConn) Read(b []byte) (int, error) {
	select {
	case <-c.stop:
		<-c.closed
		return 0, net.ErrClosed
	default:
		return c.Conn.Read(b)
	}
}

func (c *gateConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// A writer stuck in the kernel, because the peer takes nothing, does not keep Close from returning.
func TestCloseStuckInKernel(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	l := NewListener(nil)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := ln.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		gate := &gateConn{Conn: c, stop: stop, closed: make(chan struct{})}
		defer context.AfterFunc(ctx, func() { gate.Close() })()
		l.Handle(ctx, &Carrier{Conn: gate}, "tester")
	})
	client, err := Dial(t.Context(), nil, Path{Name: "a", Dial: func(ctx context.Context) (*Carrier, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", ln.Addr().String())
		if err != nil {
			return nil, err
		}
		return &Carrier{Conn: c, TCP: c.(*net.TCPConn)}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	st, err := client.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	close(stop)
	st.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)) // by then all buffers are full
	if _, err := st.Write(make([]byte, 64<<20)); err == nil {
		t.Error("64 MiB were taken though nobody reads")
	}
	client.Close()
	if err := client.Err(); !errors.Is(err, ErrSessionClosed) {
		t.Errorf("session: %v, want %v", err, ErrSessionClosed)
	}
	cancel()
	l.Close()
	ln.Close()
	wg.Wait()
}

// Close and CloseWrite while a Write waits for room: the peer reads what was accepted and then a reset, never an end that looks like all there was.
func TestCloseCutsWriteShort(t *testing.T) {
	for name, end := range map[string]func(*Stream) error{"Close": (*Stream).Close, "CloseWrite": (*Stream).CloseWrite} {
		for how, write := range map[string]func(*Stream, []byte) (int64, error){
			"Write": func(st *Stream, b []byte) (int64, error) { n, err := st.Write(b); return int64(n), err },
			"ReadFrom": func(st *Stream, b []byte) (int64, error) {
				return st.ReadFrom(struct{ io.Reader }{bytes.NewReader(b)})
			},
		} {
			t.Run(name+" cuts "+how, func(t *testing.T) {
				bothWays(t, func(t *testing.T, up bool) {
					w := dialled(t, nil, wan)
					from, to := w.ends(up)
					data := bytes.Repeat([]byte("0123456789"), 200<<10)
					cut := make(chan error, 1)
					go func() {
						_, err := write(from, data)
						cut <- err
					}()
					time.Sleep(10 * time.Second) // the reader has not begun: its window and the send buffer are full
					if err := end(from); err != nil {
						t.Fatal(err)
					}
					if err := <-cut; !errors.Is(err, net.ErrClosed) {
						t.Errorf("the call cut short: %v, want %v", err, net.ErrClosed)
					}
					got, err := io.ReadAll(to)
					if len(got) == 0 || len(got) == len(data) || !bytes.Equal(got, data[:len(got)]) || !errors.Is(err, syscall.ECONNRESET) {
						t.Errorf("read %d octets of %d, %v; want a part of them and a reset", len(got), len(data), err)
					}
					if name == "CloseWrite" { // the other direction goes on
						to.Write([]byte("answer"))
						to.Close()
						if got, err := io.ReadAll(from); string(got) != "answer" || err != nil {
							t.Errorf("the other direction: %q, %v", got, err)
						}
					}
					to.Close()
					from.Close()
					w.wantNoStreams()
				})
			})
		}
	}
}

// A Write that has returned, if only because its deadline passed, is not cut short by Close.
func TestCloseAfterWriteTimedOut(t *testing.T) {
	bothWays(t, func(t *testing.T, up bool) {
		w := dialled(t, nil, wan)
		from, to := w.ends(up)
		from.SetWriteDeadline(time.Now().Add(10 * time.Second))
		n, err := from.Write(make([]byte, 4<<20))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Write: %d, %v", n, err)
		}
		from.Close()
		if got, err := io.ReadAll(to); len(got) != n || err != nil {
			t.Errorf("read %d octets, %v; want the %d accepted and EOF", len(got), err, n)
		}
		to.Close()
		w.wantNoStreams()
	})
}

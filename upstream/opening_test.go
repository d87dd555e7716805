package upstream

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mpsocks/mpsocks/internal/netsim"
	"github.com/mpsocks/mpsocks/mptcp"
)

// openSession runs test with a session over one path whose other end echoes every stream.
func openSession(t *testing.T, test func(t *testing.T, s *mptcp.Session, p *netsim.Path)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := netsim.NewPath("a", netsim.Link{Delay: 15 * time.Millisecond})
		ln, err := p.Listen()
		if err != nil {
			t.Fatal(err)
		}
		l := mptcp.NewListener(nil)
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				go func() { _ = l.Handle(context.Background(), &mptcp.Carrier{Conn: c}, "tester") }()
			}
		}()
		go func() {
			far, err := l.Accept(context.Background())
			for err == nil {
				var st *mptcp.Stream
				if st, err = far.AcceptStream(context.Background()); err == nil {
					go func() {
						_, _ = io.Copy(st, st)
						_ = st.Close()
					}()
				}
			}
		}()
		s, err := mptcp.Dial(t.Context(), nil, mptcp.Path{Name: "a", Dial: func(ctx context.Context) (*mptcp.Carrier, error) {
			c, err := p.Dial(ctx)
			if err != nil {
				return nil, err
			}
			return &mptcp.Carrier{Conn: c}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		test(t, s, p)
		p.Heal()
		_ = s.Close()
		_ = l.Close()
		_ = ln.Close()
	})
}

func open(t *testing.T, s *mptcp.Session) *opening {
	t.Helper()
	st, err := s.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := watchOpening(st, StreamPaths{}, look{after: defaultDialWait})
	if _, err := o.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOpeningOnSilentSession(t *testing.T) {
	openSession(t, func(t *testing.T, s *mptcp.Session, p *netsim.Path) {
		p.Cut()
		o, start := open(t, s), time.Now()
		_, err := o.Read(make([]byte, 5))
		if took := time.Since(start); !errors.Is(err, ErrEgressDown) || took != defaultDialWait {
			t.Errorf("read: %v after %v, want %v after %v", err, took, ErrEgressDown, defaultDialWait)
		}
	})
}

// A stream that was answered, and one whose egress is slow but there, wait.
func TestOpeningLivesOn(t *testing.T) {
	openSession(t, func(t *testing.T, s *mptcp.Session, p *netsim.Path) {
		answered := open(t, s)
		if _, err := io.ReadFull(answered, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		silent, err := s.OpenStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slow := watchOpening(silent, StreamPaths{}, look{after: defaultDialWait}) // the egress cannot answer what it was not sent
		time.Sleep(2 * defaultDialWait)
		if _, err := slow.Write([]byte("hello")); err != nil {
			t.Errorf("write on a stream of a session that is up: %v", err)
		}
		p.Cut()
		time.Sleep(2 * defaultDialWait)
		p.Heal()
		if _, err := answered.Write([]byte("again")); err != nil {
			t.Errorf("write on a stream that was answered before the cut: %v", err)
		}
		for _, o := range []*opening{answered, slow} {
			if _, err := io.ReadFull(o, make([]byte, 5)); err != nil {
				t.Errorf("read after the cut: %v", err)
			}
			_ = o.Close()
		}
	})
}

func TestOpeningWriteTo(t *testing.T) {
	openSession(t, func(t *testing.T, s *mptcp.Session, _ *netsim.Path) {
		o := open(t, s)
		_ = o.CloseWrite()
		r, w := io.Pipe()
		go func() {
			n, err := o.WriteTo(w)
			if n != 5 || err != nil {
				t.Errorf("WriteTo = %d, %v, want the echo of 5", n, err)
			}
			_ = w.Close()
		}()
		if got, err := io.ReadAll(r); string(got) != "hello" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		_ = o.Close()
	})
}

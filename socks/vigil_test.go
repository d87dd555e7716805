package socks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// tcpPair returns the two ends of a TCP connection over loopback.
func tcpPair(t testing.TB) (near, far *net.TCPConn) {
	t.Helper()
	ln := listen(t)
	near = mustDial(t, ln.Addr().String())
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(hang))
	return near, c.(*net.TCPConn)
}

func awaitCause(t *testing.T, ctx context.Context) error {
	t.Helper()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(hang):
		t.Fatal("the vigil has not noticed")
		return nil
	}
}

func TestVigilNoticesReset(t *testing.T) {
	client, c := tcpPair(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	v := keepVigil(c, nil, true, cancel)
	mustWrite(t, client, []byte("early"))
	reset(client)
	if err := awaitCause(t, ctx); !errors.Is(err, errClientGone) || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("cause %v, want that the client is gone by a reset", err)
	}
	v.end()
}

func TestVigilNoticesEnd(t *testing.T) {
	tests := []struct {
		name      string
		early     string
		sent      string
		endIsGone bool
		gone      bool
	}{
		{"nothing sent", "", "", true, true},
		{"something sent before", "x", "", true, false},
		{"something sent now", "", "x", true, false},
		{"ends mean nothing", "", "", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, c := tcpPair(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			v := keepVigil(c, []byte(tt.early), tt.endIsGone, cancel)
			mustWrite(t, client, []byte(tt.sent))
			_ = client.CloseWrite()
			<-v.done
			if gone := ctx.Err() != nil; gone != tt.gone {
				t.Errorf("gone: %v, want %v", gone, tt.gone)
			}
			if got := string(v.end()); got != tt.early+tt.sent {
				t.Errorf("kept %q, want %q", got, tt.early+tt.sent)
			}
			wantEnd(t, c) // whoever reads next sees the end, too
		})
	}
}

func TestVigilKeepsWhatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, c := net.Pipe()
		defer client.Close()
		defer c.Close()
		v := keepVigil(c, []byte("one "), true, func(error) {})
		mustWrite(t, client, []byte("two "))
		synctest.Wait()
		if got := string(v.take()); got != "one two " {
			t.Errorf("took %q", got)
		}
		mustWrite(t, client, []byte("three"))
		synctest.Wait()
		if got := string(v.end()); got != "three" {
			t.Errorf("kept %q, want what came after the taking", got)
		}
		go func() { _, _ = client.Write([]byte("four")) }()
		wantRead(t, c, []byte("four")) // the deadline that ended the vigil is gone
	})
}

func TestVigilIsBounded(t *testing.T) {
	client, c := tcpPair(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	v := keepVigil(c, nil, true, cancel)
	data := randomBytes(4 << 20)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = client.Write(data)
		_ = client.CloseWrite()
	}()
	<-v.done
	kept := v.end()
	if len(kept) > maxKept+vigilRead || ctx.Err() != nil {
		t.Errorf("kept %d bytes, gone %v; want no more than %d", len(kept), ctx.Err(), maxKept+vigilRead)
	}
	rest, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(append(kept, rest...), data) {
		t.Errorf("bytes were lost: %d kept, %d read, %v", len(kept), len(rest), err)
	}
	<-sent
}

// BenchmarkVigil is what a connection pays for being watched while another one is made.
func BenchmarkVigil(b *testing.B) {
	_, c := tcpPair(b)
	_ = c.SetDeadline(time.Time{})
	b.ReportAllocs()
	for b.Loop() {
		keepVigil(c, nil, true, func(error) {}).end()
	}
}

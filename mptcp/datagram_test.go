package mptcp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mpsocks/mpsocks/internal/netsim"
)

// takeDatagram receives one and returns a copy.
func takeDatagram(st *Stream) (p []byte, err error) {
	err = st.ReceiveDatagram(func(b []byte) { p = bytes.Clone(b) })
	return p, err
}

func TestDatagramSizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan, wan)
		c, s := w.stream()
		if !c.Datagrams() || !s.Datagrams() {
			t.Fatal("no datagrams were agreed upon")
		}
		for _, n := range []int{0, 1, 1200, 16 << 10, 65507 + 10, MaxDatagram} {
			sent := make([]byte, n)
			for i := range sent {
				sent[i] = pattern(int64(i))
			}
			if err := c.SendDatagram(sent); err != nil {
				t.Fatalf("SendDatagram of %d octets: %v", n, err)
			}
			if got, err := takeDatagram(s); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d octets came as %d, %v", n, len(got), err)
			}
		}
		if err := c.SendDatagram(make([]byte, MaxDatagram+1)); !errors.Is(err, ErrDatagramTooLong) {
			t.Errorf("SendDatagram of %d octets: %v, want ErrDatagramTooLong", MaxDatagram+1, err)
		}
		c.Close()
		s.Close()
	})
}

// Those who wait for a datagram, or send one, hear of the end in the ways of Read and Write.
func TestDatagramEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(near, far *Stream)
		want error
	}{
		"peer closes":   {func(_, far *Stream) { far.Close() }, io.EOF},
		"peer resets":   {func(_, far *Stream) { far.Reset() }, &StreamError{}},
		"close":         {func(near, _ *Stream) { near.Close() }, net.ErrClosed},
		"close to read": {func(near, _ *Stream) { near.CloseRead() }, net.ErrClosed},
		"deadline":      {func(near, _ *Stream) { near.SetReadDeadline(time.Now().Add(time.Second)) }, os.ErrDeadlineExceeded},
		"session ends":  {func(near, _ *Stream) { near.Session().Abort() }, &StreamError{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := dialled(t, nil, wan)
				near, far := w.stream()
				time.AfterFunc(time.Second, func() { tc.end(near, far) })
				_, err := takeDatagram(near)
				var broken *StreamError
				if _, reset := tc.want.(*StreamError); reset && !errors.As(err, &broken) || !reset && !errors.Is(err, tc.want) {
					t.Errorf("ReceiveDatagram = %v, want %v", err, tc.want)
				}
				near.Close()
				if err := near.SendDatagram([]byte("x")); err == nil {
					t.Error("SendDatagram on a closed stream: no error")
				}
				far.Close()
			})
		})
	}
}

// echoFlow sends numbered datagrams at a rate and has them come back; it returns how many came back and the longest gap between two that did.
func echoFlow(t *testing.T, w *world, n int, every, span time.Duration) (sent, took int, gap time.Duration) {
	t.Helper()
	c, s := w.stream()
	w.wg.Go(func() {
		for s.ReceiveDatagram(func(p []byte) { _ = s.SendDatagram(p) }) == nil {
		}
	})
	done := make(chan struct{})
	w.wg.Go(func() {
		defer close(done)
		last, seen := time.Time{}, make(map[uint64]bool)
		for {
			p, err := takeDatagram(c)
			if err != nil {
				return
			}
			if number := binary.BigEndian.Uint64(p); seen[number] || len(p) != n {
				t.Errorf("datagram %d of %d octets, seen before: %v", number, len(p), seen[number])
			} else {
				seen[number] = true
			}
			if now := time.Now(); !last.IsZero() {
				gap = max(gap, now.Sub(last))
			}
			last = time.Now()
			took++
		}
	})
	p := make([]byte, n)
	for end := time.Now().Add(span); time.Now().Before(end); sent++ {
		binary.BigEndian.PutUint64(p, uint64(sent))
		if err := c.SendDatagram(p); err != nil {
			t.Fatal(err)
		}
		time.Sleep(every)
	}
	time.Sleep(time.Second)
	c.Close()
	s.Close()
	<-done
	return sent, took, gap
}

// A path in use that falls silent leaves a short gap, and takes next to nothing with it.
func TestDatagramsWhenPathIsCut(t *testing.T) {
	for _, redundant := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			link := netsim.Link{Rate: 6250000, Delay: 15 * time.Millisecond}
			w := dialled(t, &Config{RedundantDatagrams: redundant}, link, link)
			time.AfterFunc(2*time.Second, func() { w.paths[0].Cut() })
			sent, took, gap := echoFlow(t, w, 400, 2*time.Millisecond, 5*time.Second)
			t.Logf("redundant %v: %d of %d came back, gap %v, %+v", redundant, took, sent, gap, w.client.Stats().Datagrams)
			limit := 250 * time.Millisecond
			if redundant {
				limit = 50 * time.Millisecond
			}
			if gap > limit || took < sent*995/1000 {
				t.Errorf("redundant %v: %d of %d came back, gap %v; want %v at most", redundant, took, sent, gap, limit)
			}
		})
	}
}

// A session whose every path is dead takes datagrams and forgets them.
func TestDatagramsWithoutPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan)
		c, s := w.stream()
		w.paths[0].Cut()
		for range 2000 {
			if err := c.SendDatagram(make([]byte, 1200)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		w.paths[0].Heal()
		time.Sleep(10 * time.Second)
		if err := c.SendDatagram([]byte("last")); err != nil {
			t.Fatal(err)
		}
		n := 0
		for {
			p, err := takeDatagram(s)
			if err != nil {
				t.Fatal(err)
			}
			if string(p) == "last" {
				break
			}
			n++
		}
		if st := w.client.Stats().Datagrams; n > 1000 || st.Full+st.Stale < 1000 {
			t.Errorf("%d old ones arrived, %+v", n, st)
		}
		c.Close()
		s.Close()
	})
}

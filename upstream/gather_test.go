package upstream

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// tlsRecord is the frame of a record of n bytes.
func tlsRecord(n int) []byte {
	return append([]byte{recordApplicationData, 3, 3, byte(n >> 8), byte(n)}, make([]byte, n)...)
}

func TestFraming(t *testing.T) {
	stream := bytes.Join([][]byte{tlsRecord(0), tlsRecord(300), tlsRecord(16640), tlsRecord(1)}, nil)
	for _, piece := range []int{1, 3, 5, 7, 304, 305, 306, 5000, len(stream)} {
		var f framing
		for at := 0; at < len(stream); at += piece {
			f.advance(stream[at:min(at+piece, len(stream))])
			if f.rest > len(stream)-min(at+piece, len(stream)) {
				t.Fatalf("pieces of %d: %d bytes missing at %d of %d", piece, f.rest, at+piece, len(stream))
			}
		}
		if f.got != 0 || f.rest != 0 {
			t.Errorf("pieces of %d: %+v at the end of a record", piece, f)
		}
	}
}

// What the kernel is told follows the record, is never more than what is to come,
// and is not raised for nothing.
func TestGatherWants(t *testing.T) {
	for _, tc := range []struct {
		name   string
		lowat  int
		rest   int
		few    bool
		want   int
		change bool
	}{
		{"the rest of a record", 1, 9000, true, 9000, true},
		{"the last read got much, or left some", 1, 9000, false, 9000, false},
		{"a little is missing", 1, gatherLeast - 1, true, 1, false},
		{"a little is missing, and it was more", 9000, 100, false, 1, true},
		{"the record is complete", 9000, 0, false, 1, true},
		{"less than before", 9000, 4000, false, 4000, true},
		{"the same", 9000, 9000, true, 9000, false},
		{"no such thing", -1, 9000, true, 9000, false},
	} {
		g := gatherer{framing: framing{rest: tc.rest}, lowat: tc.lowat, few: tc.few}
		if got, change := g.want(); change != tc.change || change && got != tc.want {
			t.Errorf("%s: %d, %v; want %d, %v", tc.name, got, change, tc.want, tc.change)
		}
	}
}

// A read tells what the next may expect.
func TestGatherFew(t *testing.T) {
	for _, tc := range []struct {
		got     int
		drained bool
		few     bool
	}{{1448, true, true}, {1448, false, false}, {gatherFew, true, true}, {gatherFew + 1, true, false}, {0, true, true}} {
		var g gatherer
		g.after(make([]byte, tc.got), tc.drained)
		if g.few != tc.few || g.seen != tc.got {
			t.Errorf("after %d bytes, drained %v: few %v, seen %d", tc.got, tc.drained, g.few, g.seen)
		}
	}
}

// cutPair is two connections whose bytes go from one to the other in small pieces.
func cutPair(t testing.TB, piece int) (client, server *net.TCPConn) {
	client, near := tcpPair(t)
	far, server := tcpPair(t)
	var wg sync.WaitGroup
	forward := func(to, from *net.TCPConn) {
		_, _ = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, piece))
		_ = to.CloseWrite()
	}
	wg.Go(func() { forward(far, near) })
	wg.Go(func() { forward(near, far) })
	t.Cleanup(func() {
		_ = near.Close()
		_ = far.Close()
		wg.Wait()
	})
	return client, server
}

// Bytes that come in any pieces arrive, to the last one before a silence.
func TestGatherNeverWaitsForMore(t *testing.T) {
	for _, piece := range []int{700, 1448, 20_000} {
		c, s := cutPair(t, piece)
		far, near := streamsOver(t, c, s)
		data := make([]byte, 3*gatherAfter)
		_, _ = rand.Read(data)
		sizes := []int{1, 100, 1400, 5000, 16000, 40000, 3, 16384, gatherAfter, 2}
		size := func(at, i int) int { return min(sizes[i%len(sizes)], len(data)-at) }
		done := make(chan struct{})
		go func() {
			defer close(done)
			for at, i := 0, 0; at < len(data); i++ {
				n := size(at, i)
				_, _ = far.Write(data[at : at+n])
				at += n
				_, _ = far.Read(make([]byte, 1)) // the next comes only when this one has been read
			}
		}()
		got := make([]byte, len(data))
		for at, i := 0, 0; at < len(data); i++ {
			n := size(at, i)
			if _, err := io.ReadFull(near, got[at:at+n]); err != nil {
				t.Fatal(err)
			}
			at += n
			_, _ = near.Write([]byte{1})
		}
		<-done
		if !bytes.Equal(got, data) {
			t.Errorf("pieces of %d: other bytes arrived than were sent", piece)
		}
	}
}

// BenchmarkSlowLine reads records of 9 KB from a line of 23 Mbit/s, whose packets come one by
// one. A wake-up is a read that gets something.
func BenchmarkSlowLine(b *testing.B) {
	const segment, gap = 1448, 500 * time.Microsecond
	client, server := tcpPair(b)
	frame := tlsRecord(9000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		line := time.NewTicker(gap)
		defer line.Stop()
		for range b.N {
			for at := 0; at < len(frame); at += segment {
				<-line.C
				_, _ = server.Write(frame[at:min(at+segment, len(frame))])
			}
		}
	}()
	raw := &rawConn{TCPConn: client}
	buf := make([]byte, 32<<10)
	reads := 0
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N * len(frame); left > 0; reads++ {
		n, err := raw.Read(buf[:min(len(buf), left+1)])
		if err != nil {
			b.Fatal(err)
		}
		left -= n
	}
	b.ReportMetric(float64(reads)/float64(b.N), "wakeups/op")
	<-done
}

package upstream

import (
	"context"
	"io"
	"net"
	"testing"

	"github.com/mpsocks/mpsocks/internal/relay"
)

// BenchmarkCarry downloads over TCP, a relay, an egress, a client, a relay and TCP again, as a program does: 1 MiB an
// operation, all of it on this machine.
func BenchmarkCarry(b *testing.B) {
	for _, tc := range []struct {
		name, transport string
		paths           int
	}{{"tcp", TransportTCP, 1}, {"mptcp-1", TransportMPTCP, 1}, {"mptcp-2", TransportMPTCP, 2}} {
		b.Run(tc.name, func(b *testing.B) {
			program, target := carried(b, tc.transport, tc.paths)
			go endless(target)
			const amount = 1 << 20
			buf := make([]byte, 256<<10)
			read := func(n int) {
				for n > 0 {
					m, err := program.Read(buf[:min(n, len(buf))])
					if err != nil {
						b.Error(err)
						return
					}
					n -= m
				}
			}
			read(64 * amount) // rates are being found
			b.SetBytes(amount)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				read(amount)
			}
			b.StopTimer()
			_ = program.Close()
			_ = target.Close()
		})
	}
}

// endless sends until the connection breaks.
func endless(c net.Conn) {
	data := make([]byte, 256<<10)
	for {
		if _, err := c.Write(data); err != nil {
			return
		}
	}
}

// carried is a program's connection and that of its target, with a client and an egress between them.
func carried(b *testing.B, transport string, paths int) (program, target *net.TCPConn) {
	b.Helper()
	id := newIdentity(b)
	far, target := tcpPair(b)
	e, _ := startEgress(b, []Identity{id}, func(cfg *EgressConfig) {
		cfg.Handle = handler(func(ctx context.Context, c net.Conn, _ string) error {
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
				return err
			}
			_, _, _ = relay.Pipe(ctx, c, far, relay.Config{}) // ends as the benchmark does
			return nil
		})
	})
	c := startClient(b, id, e, func(cfg *ClientConfig) { cfg.Transport, cfg.Paths = transport, loopbackPaths(paths) })
	conn, err := c.Dial(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := conn.Write([]byte("!")); err != nil {
		b.Fatal(err)
	}
	near, program := tcpPair(b)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _, _ = relay.Pipe(context.Background(), near, conn, relay.Config{})
	}()
	b.Cleanup(func() {
		_ = program.Close()
		_ = target.Close()
		<-done
	})
	return program, target
}

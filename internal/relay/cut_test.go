package relay

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// A pair that is cut while a write waits ends at once: what the receiver may have sent before is nobody's any more.
func TestCancelWhileWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, a := net.Pipe()
		b, origin := net.Pipe()
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error)
		go func() {
			_, _, err := Pipe(ctx, a, b, Config{})
			done <- err
		}()
		go func() { _, _ = client.Write(make([]byte, 1<<20)) }() // origin reads none of it
		synctest.Wait()
		start, cause := time.Now(), errors.New("shutting down")
		cancel(cause)
		if err := <-done; !errors.Is(err, cause) {
			t.Errorf("Pipe = %v, want %v", err, cause)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("Pipe returned %v after it was cut, want at once", took)
		}
		_ = client.Close()
		_ = origin.Close()
	})
}

package socks

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// The answer must arrive although bytes of the client are left unread.
func TestFarewellArrives(t *testing.T) {
	client, c := tcpPair(t)
	mustWrite(t, client, randomBytes(10_000))
	done := make(chan struct{})
	go func() {
		defer close(done)
		farewell(c, []byte("goodbye"))
	}()
	b, err := io.ReadAll(client)
	if err != nil || string(b) != "goodbye" {
		t.Errorf("read %q, %v", b, err)
	}
	client.Close()
	<-done
}

func TestFarewellWithoutAnswer(t *testing.T) {
	client, c := tcpPair(t)
	farewell(c, nil)
	wantEnd(t, client)
}

// A peer that neither reads nor ends is left after a while.
func TestFarewellIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		start := time.Now()
		farewell(far, []byte("goodbye"))
		if took := time.Since(start); took != farewellTime {
			t.Errorf("took %v, want %v", took, farewellTime)
		}
	})
}

func TestFarewellToFlood(t *testing.T) {
	client, c := tcpPair(t)
	flood := make(chan struct{})
	go func() {
		defer close(flood)
		buf := make([]byte, 32<<10)
		for {
			if _, err := client.Write(buf); err != nil {
				return
			}
		}
	}()
	farewell(c, []byte("goodbye"))
	<-flood
}

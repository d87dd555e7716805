package socks

import (
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func TestDoors(t *testing.T) {
	f, err := NewFront(FrontConfig{Dial: noEgress})
	if err != nil {
		t.Fatal(err)
	}
	for first := range 256 {
		got := f.doorFor(byte(first))
		var want door
		switch first {
		case 5:
			want = f.socks5
		case 'C':
			want = f.http
		case 'G', 'P', 'H', 'D', 'O', 'T':
			want = plainDoor{}
		}
		if got != want {
			t.Errorf("first byte 0x%02x leads to %T, want %T", first, got, want)
		}
	}
}

func TestSniff(t *testing.T) {
	c := &scriptConn{pieces: pieces([]byte("he"), []byte("llo"))}
	s, err := sniff(c)
	if err != nil || string(s.head) != "he" {
		t.Fatalf("sniff = %q, %v", s.head, err)
	}
	b, err := io.ReadAll(iotest.OneByteReader(s))
	if string(b) != "hello" || !errors.Is(err, errMustWait) || !errors.Is(s.err, errMustWait) {
		t.Errorf("read %q, %v, noted %v", b, err, s.err)
	}
	if _, err := sniff(&scriptConn{}); !errors.Is(err, errMustWait) {
		t.Errorf("sniff of nothing = %v", err)
	}
}

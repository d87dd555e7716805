package socks

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestDoors(t *testing.T) {
	f, err := NewFront(FrontConfig{Dial: noEgress})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		said string
		want door
	}{
		{"\x05", f.policy.Load().socks5},
		{"\x04", f.policy.Load().socks4},
		{"CONNECT ", f.policy.Load().http},
		{"GET ", plainDoor{}},
		{"COPY ", plainDoor{}},
		{"CHECKOUT ", plainDoor{}},
		{"CONNECTED ", plainDoor{}},
		{"connect ", plainDoor{}},
		{"VERSION-CONTROL ", plainDoor{}},
		{"LOCK ", plainDoor{}},
		{"UNLOCK ", plainDoor{}},
		{"MKCOL ", plainDoor{}},
		{"BREW ", plainDoor{}},
		{"SEARCH ", plainDoor{}},
		{"REPORT ", plainDoor{}},
		{"M-SEARCH ", plainDoor{}},
		{"!#$%&'*+-.^_`|~0 ", plainDoor{}},
		{strings.Repeat("A", maxMethod) + " ", plainDoor{}},
		{strings.Repeat("A", maxMethod+1) + " ", nil},
		{"GET\r\n", nil},
		{"GET\t", nil},
		{"SSH-2.0-OpenSSH_9.6\r\n", nil},
	}
	for _, tt := range tests {
		for cut := 1; cut <= len(tt.said); cut++ {
			c := &sniffed{Conn: &scriptConn{pieces: pieces([]byte(tt.said[cut:]))}, head: []byte(tt.said[:cut])}
			got, err := f.doorFor(c)
			if got != tt.want || (err == nil) != (tt.want != nil) {
				t.Errorf("%q, cut at %d, leads to %T, %v, want %T", tt.said, cut, got, err, tt.want)
			}
			if !strings.HasPrefix(tt.said, string(c.head)) {
				t.Errorf("%q, cut at %d: %q is kept", tt.said, cut, c.head)
			}
		}
	}
	for first := range 256 {
		said := string([]byte{byte(first), ' '})
		got, err := f.doorFor(&sniffed{Conn: &scriptConn{}, head: []byte(said)})
		served := first == 5 || first == 4 || isTokenByte(byte(first))
		if (got != nil) != served || !served && !errors.Is(err, errNotServed) {
			t.Errorf("first byte 0x%02x leads to %T, %v", first, got, err)
		}
	}
	if _, err := f.doorFor(&sniffed{Conn: &scriptConn{}, head: []byte("GE")}); !errors.Is(err, errMustWait) {
		t.Errorf("a method that is cut leads to %v, want to wait", err)
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

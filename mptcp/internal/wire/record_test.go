package wire

import (
	"bytes"
	"errors"
	"testing"
)

func TestHeader(t *testing.T) {
	for _, h := range []Header{{}, {OptionLen: 4}, {PayloadLen: 1}, {OptionLen: 28, PayloadLen: 1400}, {OptionLen: MaxOptions, PayloadLen: MaxPayload}} {
		var b [HeaderLen]byte
		h.Put(b[:])
		if got, err := ParseHeader(b[:]); err != nil || got != h {
			t.Errorf("ParseHeader(%x) = %+v, %v; want %+v", b, got, err, h)
		}
	}
}

func TestHeaderRefusesLongPayload(t *testing.T) {
	for _, b := range [][]byte{{0, 0, 0xff, 0xff}, {7, 1, 0, 0}, {255, 255, 255, 255}} {
		if h, err := ParseHeader(b); !errors.Is(err, ErrPayloadTooLong) {
			t.Errorf("ParseHeader(%x) = %+v, %v; want %v", b, h, err, ErrPayloadTooLong)
		}
	}
}

func TestBuilder(t *testing.T) {
	for n := range 9 {
		before := []byte("before")
		b := Begin(before)
		if b.OptionLen() != 0 || b.OptionRoom() != MaxOptions {
			t.Fatalf("Begin: OptionLen() = %d, OptionRoom() = %d", b.OptionLen(), b.OptionRoom())
		}
		opts := bytes.Repeat([]byte{1}, n)
		b.Buf = append(b.Buf, opts...)
		if b.OptionLen() != n || b.OptionRoom() != MaxOptions-n {
			t.Errorf("after %d octets: OptionLen() = %d, OptionRoom() = %d", n, b.OptionLen(), b.OptionRoom())
		}
		b.EndOptions()
		b.Buf = append(b.Buf, "payload"...)
		rec := b.Finish()
		h, err := ParseHeader(rec[len(before):])
		padded := (n + 3) / 4 * 4
		if err != nil || h.OptionLen != padded || h.PayloadLen != 7 || len(rec) != len(before)+HeaderLen+padded+7 {
			t.Errorf("%d octets of options: %+v, %v, %d octets", n, h, err, len(rec))
		}
		if !bytes.HasPrefix(rec, before) || !bytes.HasSuffix(rec, []byte("payload")) {
			t.Errorf("%d octets of options: record %q", n, rec)
		}
		for _, pad := range rec[len(before)+HeaderLen+n : len(before)+HeaderLen+padded] {
			if pad != 1 {
				t.Errorf("%d octets of options: padded with %d, want NOP", n, pad)
			}
		}
	}
}

func TestBuilderWithoutOptionsOrPayload(t *testing.T) {
	b := Begin(nil)
	b.EndOptions()
	if got := b.Finish(); !bytes.Equal(got, make([]byte, HeaderLen)) {
		t.Errorf("empty record: %x", got)
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{255, 0, 255, 254})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < HeaderLen {
			return
		}
		h, err := ParseHeader(b)
		if err != nil {
			return
		}
		if h.OptionLen > MaxOptions || h.PayloadLen > MaxPayload {
			t.Fatalf("ParseHeader(%x) = %+v", b[:HeaderLen], h)
		}
		var again [HeaderLen]byte
		h.Put(again[:])
		if !bytes.Equal(again[:], b[:HeaderLen]) {
			t.Fatalf("ParseHeader(%x).Put = %x", b[:HeaderLen], again)
		}
	})
}

package proto

import (
	"errors"
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/internal/key"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

// options returns the option area of a handshake record.
func options(t *testing.T, rec []byte) []byte {
	t.Helper()
	h, err := wire.ParseHeader(rec)
	if err != nil || h.PayloadLen != 0 || wire.HeaderLen+h.OptionLen != len(rec) {
		t.Fatalf("record of %d octets: %+v, %v", len(rec), h, err)
	}
	return rec[wire.HeaderLen:]
}

func TestCapableHandshake(t *testing.T) {
	const keyA, keyB = key.Key(0x1111111111111111), key.Key(0x2222222222222222)
	hello := roomyHello
	for _, version := range []option.Version{option.V0, option.V1} {
		want := FirstCapable{Version: version, Hello: hello}
		if version == option.V0 {
			want.Key = keyA // RFC 6824, section 3.1
		}
		first, err := ParseFirst(options(t, AppendCapable(nil, want)))
		if err != nil || first.Join != nil || first.Capable == nil || *first.Capable != want {
			t.Fatalf("ParseFirst = %+v, %v", first, err)
		}
		v, k, h, err := ParseCapableReply(options(t, AppendCapableReply(nil, version, keyB, hello, false)))
		if err != nil || v != version || k != keyB || h != hello {
			t.Fatalf("ParseCapableReply = %v, %x, %+v, %v", v, uint64(k), h, err)
		}
		c := key.Secret{Local: keyA, Remote: keyB, Version: version}
		if k, err = ParseCapableACK(options(t, AppendCapableACK(nil, c, seen)), key.Secret{Local: keyB, Version: version}, seen); err != nil || k != keyA {
			t.Fatalf("ParseCapableACK = %x, %v", uint64(k), err)
		}
	}
}

// TestCFlag: only version 1 can say that joins go elsewhere.
func TestCFlag(t *testing.T) {
	for _, v := range []option.Version{option.V0, Version} {
		for _, elsewhere := range []bool{false, true} {
			opts := options(t, AppendCapableReply(nil, v, 5, roomyHello, elsewhere))
			if _, _, _, err := ParseCapableReply(opts); err != nil {
				t.Errorf("version %d: %v", v, err)
			}
			if got, want := repliedElsewhere(opts), elsewhere && v != option.V0; got != want {
				t.Errorf("version %d, elsewhere %v: C flag %v, want %v", v, elsewhere, got, want)
			}
		}
	}
}

// seen is what both sides have seen of a handshake.
var seen = [32]byte{1, 2, 3}

func TestCapableRefusals(t *testing.T) {
	const keyA, keyB = key.Key(0x1111111111111111), key.Key(0x2222222222222222)
	capable := func(c option.Capable) []byte { return c.Append(nil) }
	bare := option.Capable{Version: Version, Form: option.CapableBare, Crypto: option.CryptoHMAC}
	change := func(f func(*option.Capable)) []byte {
		c := bare
		f(&c)
		return roomyHello.Append(capable(c))
	}
	old := roomyHello
	old.Version = 0
	own := key.Secret{Local: keyB, Version: Version}
	for name, opts := range map[string][]byte{
		"nothing":                       nil,
		"no hello":                      capable(bare),
		"hello only":                    roomyHello.Append(nil),
		"hello of version 0":            old.Append(capable(bare)),
		"version 0 of MPTCP, no key":    change(func(c *option.Capable) { c.Version = option.V0 }),
		"no crypto":                     change(func(c *option.Capable) { c.Crypto = 0 }),
		"extensibility":                 change(func(c *option.Capable) { c.Extensible = true }),
		"a key in the first":            change(func(c *option.Capable) { c.Form, c.SenderKey = option.CapableKey, 5 }),
		"an answer":                     option.JoinSYNACK{}.Append(nil),
		"an option cut short":           {option.Kind, 12, 0x01},
		"a malformed hello":             {option.Kind, 5, 0xfb, 1, 0, 0, 0, 0},
		"a malformed MP_CAPABLE":        {option.Kind, 5, 0x01, 1, 0, 0, 0, 0},
		"an MP_TCPRST that is too long": {option.Kind, 5, 0x80, 1, 0, 0, 0, 0},
	} {
		if f, err := ParseFirst(opts); err == nil {
			t.Errorf("ParseFirst of %s = %+v", name, f)
		}
		if _, _, _, err := ParseCapableReply(opts); err == nil && name != "a key in the first" {
			t.Errorf("ParseCapableReply took %s", name)
		}
		if _, err := ParseCapableACK(opts, own, seen); err == nil {
			t.Errorf("ParseCapableACK took %s", name)
		}
	}
	for name, rec := range map[string][]byte{
		"a wrong key":          AppendCapableACK(nil, key.Secret{Local: keyA, Remote: keyA, Version: Version}, seen),
		"a reflected key":      AppendCapableACK(nil, key.Secret{Local: keyB, Remote: keyB, Version: Version}, seen),
		"another version":      AppendCapableACK(nil, key.Secret{Local: keyA, Remote: keyB}, seen),
		"a handshake not seen": AppendCapableACK(nil, key.Secret{Local: keyA, Remote: keyB, Version: Version}, [32]byte{}),
		"another channel":      AppendCapableACK(nil, key.Secret{Local: keyA, Remote: keyB, Version: Version, Binding: []byte("x")}, seen),
		"no proof":             record(nil, option.Capable{Version: Version, Form: option.CapableKeys, Crypto: option.CryptoHMAC, SenderKey: uint64(keyA), ReceiverKey: uint64(keyB)}.Append),
		"a reply":              AppendCapableReply(nil, Version, keyA, roomyHello, false),
	} {
		if _, err := ParseCapableACK(options(t, rec), own, seen); !errors.Is(err, ErrNotMPTCP) {
			t.Errorf("ParseCapableACK of %s: %v, want %v", name, err, ErrNotMPTCP)
		}
	}
}

// TestHandshakeRefusalIsToldApart: an MP_TCPRST in place of a step has a reason.
func TestHandshakeRefusalIsToldApart(t *testing.T) {
	opts := options(t, AppendReset(nil, option.ReasonResources, true))
	check := func(step string, err error) {
		t.Helper()
		var reset *PeerResetError
		if !errors.As(err, &reset) || reset.Reason != option.ReasonResources || !reset.Transient {
			t.Errorf("%s: %v, want the peer's reset", step, err)
		}
	}
	_, err := ParseFirst(opts)
	check("ParseFirst", err)
	_, _, _, err = ParseCapableReply(opts)
	check("ParseCapableReply", err)
	_, err = ParseCapableACK(opts, key.Secret{Local: 1}, seen)
	check("ParseCapableACK", err)
	_, err = (&Join{}).ParseSYNACK(opts)
	check("ParseSYNACK", err)
	check("ParseACK", (&Join{}).ParseACK(opts))
	check("CheckConfirmation", CheckConfirmation(opts))
	if err := CheckConfirmation(wire.Append32(nil, wire.PrivProbe, 1)); err != nil {
		t.Errorf("CheckConfirmation of a probe: %v", err)
	}
}

// joins returns both sides of a join.
func joins() (opener, responder Join) {
	c, e := fixedSecrets()
	binding := []byte("the joining channel's own secret")
	return Join{Secret: c, Binding: binding, Own: 0x11223344}, Join{Secret: e, Binding: binding, Own: 0xaabbccdd}
}

func TestJoinHandshake(t *testing.T) {
	a, b := joins()
	first, err := ParseFirst(options(t, a.AppendSYN(nil, 3, true)))
	if err != nil || first.Capable != nil || first.Join == nil {
		t.Fatalf("ParseFirst = %+v, %v", first, err)
	}
	if s := first.Join; s.AddrID != 3 || !s.Backup || s.Token != uint32(b.Secret.Local.Token(Version)) || s.Nonce != a.Own {
		t.Errorf("MP_JOIN SYN = %+v", s)
	}
	b.Peer = first.Join.Nonce
	r, err := a.ParseSYNACK(options(t, b.AppendSYNACK(nil, 7, true)))
	if err != nil || r.AddrID != 7 || !r.Backup || a.Peer != b.Own {
		t.Fatalf("ParseSYNACK = %+v, %v; nonce %x", r, err, a.Peer)
	}
	if err := b.ParseACK(options(t, a.AppendACK(nil))); err != nil {
		t.Errorf("ParseACK: %v", err)
	}
}

// TestJoinForgeries: whoever lacks the keys, or makes the proof on another channel, for other nonces or for the other side, is refused.
func TestJoinForgeries(t *testing.T) {
	honest := func() (a, b Join) {
		a, b = joins()
		b.Peer, a.Peer = a.Own, b.Own
		return a, b
	}
	for name, forge := range map[string]func(a, b *Join){
		"another key":             func(a, b *Join) { a.Secret.Local++; b.Secret.Local++ },
		"swapped keys":            func(a, b *Join) { a.Secret, b.Secret = b.Secret, a.Secret },
		"another channel":         func(a, b *Join) { a.Binding, b.Binding = []byte("x"), []byte("x") },
		"another session's first": func(a, b *Join) { a.Secret.Binding, b.Secret.Binding = []byte("x"), []byte("x") },
		"no bindings": func(a, b *Join) {
			*a, *b = Join{Secret: a.Secret, Own: a.Own, Peer: a.Peer}, Join{Secret: b.Secret, Own: b.Own, Peer: b.Peer}
		},
	} {
		a, b := honest()
		fa, fb := a, b
		forge(&fa, &fb)
		if _, err := a.ParseSYNACK(options(t, fb.AppendSYNACK(nil, 0, false))); !errors.Is(err, ErrNotMPTCP) {
			t.Errorf("SYN/ACK with %s: %v", name, err)
		}
		if err := b.ParseACK(options(t, fa.AppendACK(nil))); !errors.Is(err, ErrNotMPTCP) {
			t.Errorf("ACK with %s: %v", name, err)
		}
	}
	a, b := honest()
	ack := a.AppendACK(nil)
	b.Own++ // a replay meets another nonce
	if err := b.ParseACK(options(t, ack)); !errors.Is(err, ErrNotMPTCP) {
		t.Errorf("replayed ACK: %v", err)
	}
	a, b = honest()
	synack := b.AppendSYNACK(nil, 0, false)
	a.Own++
	if _, err := a.ParseSYNACK(options(t, synack)); !errors.Is(err, ErrNotMPTCP) {
		t.Errorf("replayed SYN/ACK: %v", err)
	}
	// A reflection: what one side said comes back to it.
	a, _ = honest()
	if err := a.ParseACK(options(t, a.AppendACK(nil))); !errors.Is(err, ErrNotMPTCP) {
		t.Errorf("reflected ACK: %v", err)
	}
}

// TestHandshakePrefixes refuses every strict prefix of every step's options, and every flipped bit of a proof.
func TestHandshakePrefixes(t *testing.T) {
	a, b := joins()
	a.Peer, b.Peer = b.Own, a.Own
	bare := FirstCapable{Version: Version, Hello: roomyHello}
	five := key.Secret{Local: 5, Remote: 6, Version: Version}
	six := key.Secret{Local: 6, Version: Version}
	for name, step := range map[string]struct {
		rec   []byte
		parse func([]byte) error
	}{
		"first":         {AppendCapable(nil, bare), func(o []byte) error { _, err := ParseFirst(o); return err }},
		"capable reply": {AppendCapableReply(nil, Version, 5, roomyHello, false), func(o []byte) error { _, _, _, err := ParseCapableReply(o); return err }},
		"capable ACK":   {AppendCapableACK(nil, five, seen), func(o []byte) error { _, err := ParseCapableACK(o, six, seen); return err }},
		"join SYN":      {a.AppendSYN(nil, 1, false), func(o []byte) error { _, err := ParseFirst(o); return err }},
		"join SYN/ACK":  {b.AppendSYNACK(nil, 1, false), func(o []byte) error { j := a; _, err := j.ParseSYNACK(o); return err }},
		"join ACK":      {a.AppendACK(nil), b.ParseACK},
	} {
		opts := options(t, step.rec)
		if err := step.parse(opts); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for n := range opts {
			if err := step.parse(opts[:n]); err == nil {
				t.Errorf("%s: a prefix of %d of %d octets is taken", name, n, len(opts))
			}
		}
	}
	ack := options(t, a.AppendACK(nil))
	for i := 4 * 8; i < len(ack)*8; i++ {
		ack[i/8] ^= 1 << (i % 8)
		if err := b.ParseACK(ack); err == nil {
			t.Errorf("ACK with bit %d flipped is taken", i)
		}
		ack[i/8] ^= 1 << (i % 8)
	}
}

func TestAppendFastClose(t *testing.T) {
	d := onePath(t)
	c, _ := fixedSecrets()
	if err := d.give(egress, 0, options(t, AppendFastClose(nil, c.Remote)), nil); err != nil {
		t.Fatal(err)
	}
	if closed, _ := d.sides[egress].Closed(); !closed {
		t.Error("the session goes on")
	}
}

// FuzzHandshake gives all parsers of the handshake arbitrary options.
func FuzzHandshake(f *testing.F) {
	a, b := joins()
	for _, rec := range [][]byte{
		AppendCapable(nil, FirstCapable{Version: Version, Hello: roomyHello}), AppendCapable(nil, FirstCapable{Key: 5, Hello: roomyHello}),
		AppendCapableReply(nil, Version, 5, roomyHello, false), AppendReset(nil, 1, false),
		AppendCapableACK(nil, key.Secret{Local: 5, Remote: 6, Version: Version}, seen), record(nil, wire.JoinCap{AddrID: 1, KeyA: 5}.Append),
		a.AppendSYN(nil, 1, false), b.AppendSYNACK(nil, 1, false), a.AppendACK(nil),
	} {
		f.Add(rec[wire.HeaderLen:])
	}
	f.Fuzz(func(t *testing.T, opts []byte) {
		first, err := ParseFirst(opts)
		if err == nil && (first.Capable == nil) == (first.Join == nil) {
			t.Fatalf("ParseFirst = %+v", first)
		}
		_, _, _, _ = ParseCapableReply(opts)
		if k, err := ParseCapableACK(opts, key.Secret{Local: 6, Version: Version}, seen); err == nil && k == 6 {
			t.Fatal("ParseCapableACK took our own key")
		}
		j := a
		_, _ = j.ParseSYNACK(opts)
		_ = j.ParseACK(opts)
		_ = CheckConfirmation(opts)
	})
}

// Of several algorithms that are offered one is answered; an answer with several is none.
func TestCapableOneAlgorithm(t *testing.T) {
	const two = option.CryptoHMAC | 0x02
	offer := roomyHello.Append(option.Capable{Version: Version, Form: option.CapableBare, Crypto: two}.Append(nil))
	if f, err := ParseFirst(offer); err != nil || f.Capable == nil {
		t.Errorf("an offer of two algorithms, ours among them: %+v, %v", f, err)
	}
	h, err := parseHandshake(options(t, AppendCapableReply(nil, Version, 5, roomyHello, false)))
	if err != nil || h.capable.Crypto != option.CryptoHMAC {
		t.Errorf("it is answered by the algorithms %#x, %v; want %#x alone", h.capable.Crypto, err, option.CryptoHMAC)
	}
	for _, crypto := range []uint8{two, 0x02, 0} {
		reply := roomyHello.Append(option.Capable{Version: Version, Form: option.CapableKey, Crypto: crypto, SenderKey: 5}.Append(nil))
		if _, _, _, err := ParseCapableReply(reply); !errors.Is(err, ErrNotMPTCP) {
			t.Errorf("an answer with the algorithms %#x: %v, want %v", crypto, err, ErrNotMPTCP)
		}
	}
}

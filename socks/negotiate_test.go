package socks

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/things-go/go-socks5"
	"github.com/things-go/go-socks5/statute"
)

// scriptConn is a connection that gives fixed pieces to its reader and keeps what is
// written. Reading on is an error that says so.
type scriptConn struct {
	pieces [][]byte
	out    bytes.Buffer
	writes int
	closed bool
}

var errMustWait = errors.New("the client has to be waited for")

func (c *scriptConn) Read(p []byte) (int, error) {
	if len(c.pieces) == 0 {
		return 0, errMustWait
	}
	n := copy(p, c.pieces[0])
	if c.pieces[0] = c.pieces[0][n:]; len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}
	return n, nil
}

func (c *scriptConn) Write(p []byte) (int, error)      { c.writes++; return c.out.Write(p) }
func (c *scriptConn) Close() error                     { c.closed = true; return nil }
func (c *scriptConn) LocalAddr() net.Addr              { return pipeAddr{} }
func (c *scriptConn) RemoteAddr() net.Addr             { return nil }
func (c *scriptConn) SetDeadline(time.Time) error      { return nil }
func (c *scriptConn) SetReadDeadline(time.Time) error  { return nil }
func (c *scriptConn) SetWriteDeadline(time.Time) error { return nil }

type negotiateCase struct {
	name   string
	auth   bool   // the server wants a password: "me", "pw"
	in     string // hex
	answer string // hex, all that is written until the request or the end
	target string // of the request; empty: there is none
	cmd    byte
	waits  bool // the client has to say more
}

const (
	failed      = "05010001000000000000"
	unreachable = "05040001000000000000"
	refusedHex  = "05050001000000000000"
	noCommand   = "05070001000000000000"
	noAddrType  = "05080001000000000000"
)

func name255() string { return hex.EncodeToString([]byte(strings.Repeat("a", 255))) }

var negotiateCases = []negotiateCase{
	{name: "v4", in: "050100" + "05010001" + "01020304" + "0050", answer: "0500", target: "1.2.3.4:80", cmd: 1},
	{name: "v6", in: "050100" + "05010004" + "20010db8000000000000000000000001" + "01bb", answer: "0500", target: "[2001:db8::1]:443", cmd: 1},
	{name: "v6 mapped", in: "050100" + "05010004" + "00000000000000000000ffff7f000001" + "0050", answer: "0500", target: "127.0.0.1:80", cmd: 1},
	{name: "name", in: "050100" + "05010003" + "03612e62" + "0050", answer: "0500", target: "a.b:80", cmd: 1},
	{name: "name that is an address", in: "050100" + "05010003" + "07" + hex.EncodeToString([]byte("1.2.3.4")) + "0050", answer: "0500", target: "1.2.3.4:80", cmd: 1},
	{name: "name that is a v6 address", in: "050100" + "05010003" + "03" + hex.EncodeToString([]byte("::1")) + "0050", answer: "0500", target: "[::1]:80", cmd: 1},
	{name: "bind", in: "050100" + "05020001" + "01020304" + "0050", answer: "0500", target: "1.2.3.4:80", cmd: 2},
	{name: "bind for any port", in: "050100" + "05020001" + "01020304" + "0000", answer: "0500", target: "1.2.3.4:0", cmd: 2},
	{name: "associate", in: "050100" + "05030001" + "01020304" + "0050", answer: "0500", target: "0.0.0.0:0", cmd: 3},
	{name: "associate from anywhere", in: "050100" + "05030001" + "00000000" + "0000", answer: "0500", target: "0.0.0.0:0", cmd: 3},
	{name: "reserved byte", in: "050100" + "0501ff01" + "01020304" + "0050", answer: "0500", target: "1.2.3.4:80", cmd: 1},
	{name: "many methods", in: "05ff00" + strings.Repeat("80", 254) + "05010001" + "01020304" + "0050", answer: "0500", target: "1.2.3.4:80", cmd: 1},
	{name: "methods twice", in: "050400000202" + "05010001" + "01020304" + "0050", answer: "0500", target: "1.2.3.4:80", cmd: 1},

	{name: "no methods", in: "0500", answer: "05ff"},
	{name: "gssapi only", in: "050101", answer: "05ff"},
	{name: "private methods only", in: "050380fefd", answer: "05ff"},
	{name: "request of version 4", in: "050100" + "0401", answer: "0500" + failed},
	{name: "auth though none was chosen", in: "050100" + "01026d65027077", answer: "0500" + failed},
	{name: "command 0", in: "050100" + "05000001" + "01020304" + "0050", answer: "0500" + noCommand},
	{name: "command 4", in: "050100" + "05040001" + "01020304" + "0050", answer: "0500" + noCommand},
	{name: "command ef", in: "050100" + "05ef0003" + "03612e62" + "0000", answer: "0500" + noCommand},
	{name: "resolve name", in: "050100" + "05f00003" + "03612e62" + "0000", answer: "0500", target: "a.b:0", cmd: 0xf0},
	{name: "resolve address", in: "050100" + "05f00001" + "01020304" + "0050", answer: "0500", target: "1.2.3.4:0", cmd: 0xf0},
	{name: "resolve inet_aton form", in: "050100" + "05f00003" + "05" + hex.EncodeToString([]byte("127.1")) + "0000", answer: "0500" + unreachable},
	{name: "resolve empty name", in: "050100" + "05f00003" + "00" + "0000", answer: "0500" + unreachable},
	{name: "resolve address type 2", in: "050100" + "05f00002", answer: "0500" + noAddrType},
	{name: "resolve with password", auth: true, in: "050102" + "01026d65027077" + "05f00003" + "03612e62" + "0000", answer: "0502" + "0100", target: "a.b:0", cmd: 0xf0},
	{name: "resolve without password", auth: true, in: "050102" + "05f00003" + "03612e62" + "0000", answer: "0502" + "0101"},
	{name: "name of address", in: "050100" + "05f10004" + "20010db8000000000000000000000001" + "0000", answer: "0500", target: "[2001:db8::1]:0", cmd: 0xf1},
	{name: "name of name", in: "050100" + "05f10003" + "03612e62" + "0000", answer: "0500" + noAddrType},
	{name: "cut in resolve", in: "050100" + "05f00003" + "0361", answer: "0500", waits: true},
	{name: "cut behind command resolve", in: "050100" + "05f0", answer: "0500", waits: true},
	{name: "address type 0", in: "050100" + "05010000", answer: "0500" + noAddrType},
	{name: "address type 2", in: "050100" + "05010002", answer: "0500" + noAddrType},
	{name: "address type ff", in: "050100" + "050100ff", answer: "0500" + noAddrType},
	{name: "empty name", in: "050100" + "05010003" + "00" + "0050", answer: "0500" + unreachable},
	{name: "name too long", in: "050100" + "05010003" + "ff" + name255() + "0050", answer: "0500" + unreachable},
	{name: "name with NUL", in: "050100" + "05010003" + "03610062" + "0050", answer: "0500" + unreachable},
	{name: "name with line feed", in: "050100" + "05010003" + "03610a62" + "0050", answer: "0500" + unreachable},
	{name: "inet_aton form", in: "050100" + "05010003" + "05" + hex.EncodeToString([]byte("127.1")) + "0050", answer: "0500" + unreachable},
	{name: "port 0", in: "050100" + "05010001" + "01020304" + "0000", answer: "0500" + refusedHex},

	{name: "password", auth: true, in: "050102" + "01026d65027077" + "05010001" + "01020304" + "0050", answer: "0502" + "0100", target: "1.2.3.4:80", cmd: 1},
	{name: "password among methods", auth: true, in: "05020002" + "01026d65027077" + "05010001" + "01020304" + "0050", answer: "0502" + "0100", target: "1.2.3.4:80", cmd: 1},
	{name: "password not offered", auth: true, in: "050100", answer: "05ff"},
	{name: "wrong password", auth: true, in: "050102" + "01026d65027078", answer: "0502" + "0101"},
	{name: "wrong user", auth: true, in: "050102" + "01026d64027077", answer: "0502" + "0101"},
	{name: "empty fields", auth: true, in: "050102" + "010000", answer: "0502" + "0101"},
	{name: "long fields", auth: true, in: "050102" + "01ff" + name255() + "ff" + name255(), answer: "0502" + "0101"},
	{name: "auth version 5", auth: true, in: "050102" + "05", answer: "0502" + "0101"},
	{name: "auth version 0", auth: true, in: "050102" + "00", answer: "0502" + "0101"},
	{name: "auth before the greeting", auth: true, in: "01026d65027077", answer: ""},

	{name: "nothing", in: "", waits: true},
	{name: "cut in greeting", in: "0502", waits: true},
	{name: "cut behind greeting", in: "050100", answer: "0500", waits: true},
	{name: "cut in request", in: "050100" + "050100", answer: "0500", waits: true},
	{name: "cut in address", in: "050100" + "05010001" + "0102", answer: "0500", waits: true},
	{name: "cut in name", in: "050100" + "05010003" + "04" + "6162", answer: "0500", waits: true},
	{name: "cut in password", auth: true, in: "050102" + "01026d650270", answer: "0502", waits: true},
}

func negotiatorFor(t testing.TB, auth bool) *negotiator {
	t.Helper()
	if !auth {
		return newNegotiator(noAuth{})
	}
	a, err := newAccounts(map[string]string{"me": "plain:pw"})
	if err != nil {
		t.Fatal(err)
	}
	return newNegotiator(userPass{a})
}

// Every case is read in two pieces, cut at every place, with the first piece read
// ahead as the front does it or not, and once byte by byte.
func TestNegotiate(t *testing.T) {
	for _, tt := range negotiateCases {
		t.Run(tt.name, func(t *testing.T) {
			in, err := hex.DecodeString(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			for cut := range len(in) + 1 {
				tt.check(t, nil, pieces(in[:cut], in[cut:]))
				tt.check(t, in[:cut], pieces(in[cut:]))
			}
			var bytewise [][]byte
			for i := range in {
				bytewise = append(bytewise, in[i:i+1])
			}
			tt.check(t, nil, bytewise)
			if tt.target != "" {
				tt.checkEarly(t, in)
			}
		})
	}
}

func pieces(all ...[]byte) (list [][]byte) {
	for _, b := range all {
		if len(b) > 0 {
			list = append(list, bytes.Clone(b))
		}
	}
	return list
}

func (tt *negotiateCase) check(t *testing.T, head []byte, in [][]byte) {
	t.Helper()
	n := negotiatorFor(t, tt.auth)
	c := &scriptConn{pieces: in}
	req, err := n.run(context.Background(), c, bytes.Clone(head))
	answer := hex.EncodeToString(append(c.out.Bytes(), req.owed...))
	if waits := errors.Is(err, errMustWait); waits != tt.waits {
		t.Fatalf("run = %v, waits: want %v", err, tt.waits)
	}
	if tt.waits {
		// What is owed goes out before the client is waited for.
		if got := hex.EncodeToString(c.out.Bytes()); got != tt.answer {
			t.Errorf("answered %s before waiting, want %s", got, tt.answer)
		}
		return
	}
	if answer != tt.answer {
		t.Errorf("answered %s, want %s", answer, tt.answer)
	}
	if c.closed {
		t.Error("the connection was closed")
	}
	switch {
	case tt.target == "" && err == nil:
		t.Errorf("there is a request for %v, want none", req.target)
	case tt.target != "" && err != nil:
		t.Errorf("run: %v", err)
	case tt.target != "" && (req.target.String() != tt.target || req.command != tt.cmd):
		t.Errorf("request %d for %v, want %d for %s", req.command, req.target, tt.cmd, tt.target)
	case tt.target != "" && len(req.early) > 0:
		t.Errorf("early bytes %q, want none", req.early)
	}
}

// checkEarly sends the payload along, cut at every place: all of it is taken over
// that was read, and the rest is left.
func (tt *negotiateCase) checkEarly(t *testing.T, in []byte) {
	t.Helper()
	payload := []byte("GET / HTTP/1.0")
	all := append(bytes.Clone(in), payload...)
	for cut := range len(all) + 1 {
		for _, ahead := range []bool{false, true} {
			n := negotiatorFor(t, tt.auth)
			c := &scriptConn{pieces: pieces(all[:cut], all[cut:])}
			var head []byte
			if ahead {
				head, c.pieces = bytes.Clone(all[:cut]), pieces(all[cut:])
			}
			req, err := n.run(context.Background(), c, head)
			if err != nil {
				t.Fatalf("run: %v", err)
			}
			got := append(bytes.Clone(req.early), bytes.Join(c.pieces, nil)...)
			if !bytes.Equal(got, payload) {
				t.Fatalf("cut at %d: early %q, left %q; want %q in all", cut, req.early, bytes.Join(c.pieces, nil), payload)
			}
			if cut == len(all) && ahead && c.writes > 0 {
				t.Errorf("answered in %d writes though all was there; want the answer held back", c.writes)
			}
		}
	}
}

// A megabyte of bytes in a handshake is not read.
func TestNegotiateReadsLittle(t *testing.T) {
	n := negotiatorFor(t, false)
	flood := append([]byte{5, 1, 0, 4}, make([]byte, 1<<20)...)
	c := &scriptConn{pieces: pieces(flood)}
	if _, err := n.run(context.Background(), c, nil); !errors.Is(err, errBadRequest) {
		t.Errorf("run = %v, want %v", err, errBadRequest)
	}
	const most = 8 << 10
	if read := len(flood) - len(bytes.Join(c.pieces, nil)); read > most {
		t.Errorf("%d bytes were read, want at most %d", read, most)
	}
}

// go-socks5 as a server resolves names, dials, and logs; here it must not.
func TestNegotiateLeavesNames(t *testing.T) {
	ctx, ip, err := noResolver{}.Resolve(context.Background(), "localhost")
	if ctx == nil || ip != nil || err != nil {
		t.Errorf("resolve = %v, %v; want nothing", ip, err)
	}
}

// The parts that depend on what go-socks5 hands over say so when it changes.
func TestNegotiateWithStrangeParts(t *testing.T) {
	var w bytes.Buffer
	if err := takeDown(context.Background(), &w, &socks5.Request{}); err == nil {
		t.Error("a request from another connection is taken down")
	}
	if err := takeDown(context.Background(), &shakeConn{}, &socks5.Request{Reader: &w}); err == nil {
		t.Error("a request from another reader is taken down")
	}
	if _, err := authenticated(&w, &w, statute.MethodNoAuth); err == nil {
		t.Error("another connection is authenticated")
	}
	if _, err := authenticated(&w, &shakeConn{}, statute.MethodNoAuth); err == nil {
		t.Error("another reader is read from")
	}
	if _, err := (userPass{}).Authenticate(&w, &w, ""); err == nil {
		t.Error("another connection is asked for a password")
	}
}

func TestReplyBytes(t *testing.T) {
	tests := []struct {
		reply Reply
		bound string
		want  string
	}{
		{ReplySucceeded, "1.2.3.4:80", "05000001010203040050"},
		{ReplySucceeded, "[2001:db8::1]:80", "0500000420010db80000000000000000000000010050"},
		{ReplySucceeded, "[::ffff:1.2.3.4]:80", "05000001010203040050"},
		{ReplySucceeded, "[fe80::1%lo]:80", "05000004fe8000000000000000000000000000010050"},
		{ReplySucceeded, "", "05000001000000000000"}, // no TCP address: still a success
		{ReplyConnectionRefused, "1.2.3.4:80", refusedHex},
		{ReplyHostUnreachable, "", unreachable},
	}
	for _, tt := range tests {
		var bound netip.AddrPort
		if tt.bound != "" {
			bound = netip.MustParseAddrPort(tt.bound)
		}
		if got := hex.EncodeToString(replyBytes(tt.reply, bound)); got != tt.want {
			t.Errorf("reply %v bound to %q: %s, want %s", tt.reply, tt.bound, got, tt.want)
		}
	}
}

func TestBoundAddrOfOtherConn(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	if ap := boundAddr(near); ap.IsValid() {
		t.Errorf("an in-memory connection is bound to %v", ap)
	}
}

func FuzzNegotiate(f *testing.F) {
	for _, tt := range negotiateCases {
		in, _ := hex.DecodeString(tt.in)
		f.Add(in, tt.auth)
	}
	f.Fuzz(func(t *testing.T, in []byte, auth bool) {
		whole := &scriptConn{pieces: pieces(in)}
		req, err := negotiatorFor(t, auth).run(context.Background(), whole, nil)
		var bytewise [][]byte
		for i := range in {
			bytewise = append(bytewise, in[i:i+1])
		}
		slow := &scriptConn{pieces: bytewise}
		req2, err2 := negotiatorFor(t, auth).run(context.Background(), slow, nil)
		if (err == nil) != (err2 == nil) || req.target != req2.target || req.command != req2.command {
			t.Errorf("%x: at once %v %v, byte by byte %v %v", in, req, err, req2, err2)
		}
		a := append(whole.out.Bytes(), req.owed...)
		b := append(slow.out.Bytes(), req2.owed...)
		if !bytes.Equal(a, b) {
			t.Errorf("%x: answered %x at once, %x byte by byte", in, a, b)
		}
		if err == nil {
			left := append(bytes.Clone(req.early), bytes.Join(whole.pieces, nil)...)
			left2 := append(bytes.Clone(req2.early), bytes.Join(slow.pieces, nil)...)
			if !bytes.Equal(left, left2) {
				t.Errorf("%x: %x is left at once, %x byte by byte", in, left, left2)
			}
		}
	})
}

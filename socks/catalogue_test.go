package socks

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// catalogue lists what clients, targets and networks may do to a SOCKS server, and the tests that show what comes of it here; those of other rooms with
// their folder in front.
var catalogue = []struct{ input, tests string }{
	{"other protocols, SOCKS4, versions 0 and 6", "TestBadHandshakes TestStrangers TestSniff TestSOCKS4"},
	{"no method, none that is known, 255 of them, duplicates", "TestBadHandshakes TestNegotiate"},
	{"split at every byte, byte by byte", "TestNegotiate TestJoinedBytewise TestEgressStepwise"},
	{"all in one segment, payload too", "TestNegotiate TestJoinedPipelined TestEarlyDataIsInTheFirstFlight TestJoinedHTTPEarlyData"},
	{"password of a wrong version", "TestBadHandshakes TestReadUserPass"},
	{"empty, longest and binary names and passwords", "TestBadHandshakes TestAccounts TestReadUserPass"},
	{"password unasked, or before its turn", "TestBadHandshakes TestNegotiate"},
	{"request of another version", "TestBadHandshakes"},
	{"reserved byte set", "TestReservedByteIsCounted"},
	{"unknown commands, BIND that is off", "TestBadHandshakes TestBindRefusals TestEgressCommands"},
	{"unknown address types, and nothing behind them", "TestBadHandshakes"},
	{"empty name", "TestBadHandshakes"},
	{"names that are none", "TestBadHandshakes TestParseTarget TestEgressAsksNoResolver"},
	{"address as a name", "TestBadHandshakes TestParseTarget TestEgressDeniesSpecialAddresses"},
	{"numbers as inet_aton reads them", "TestBadHandshakes TestParseTarget"},
	{"addresses within addresses, unspecified, multicast, broadcast", "TestBadHandshakes TestEmbedded TestSpecialAddressesAreDenied"},
	{"port 0", "TestBadHandshakes"},
	{"end at every stage", "TestBadHandshakes TestHandshakeFailuresAreQuiet"},
	{"reset at every stage, and while the target is dialled", "TestResetHandshakes TestLeavingEndsTheDial TestJoinedClientLeaves TestClientLeavesWhileDialling"},
	{"thousands that never finish, one byte now and then", "TestSilentCrowd TestSlowHandshakes TestHandshakesAreCapped TestGateDropsTheOldest cmd/mpsocks:TestHalfHandshakes"},
	{"client ends first", "TestJoinedHalfClose internal/relay:TestClientEndsFirst upstream:TestTransports"},
	{"target ends first", "TestJoinedHalfClose internal/relay:TestOriginEndsFirst upstream:TestTransports"},
	{"one side closes, the other is silent for ever", "TestSilenceAfterAnEnd internal/relay:TestHalfClosedIdle"},
	{"reset after some bytes, from either side", "TestBrokenOffAfterBytes TestJoinedResets internal/relay:TestOriginResets internal/relay:TestClientResets upstream:TestTransports"},
	{"client that stops reading and goes on", "TestClientThatStopsReading internal/relay:TestStoppedReaderHoldsWriterBack"},
	{"client that stops reading for ever", "TestClientThatStopsReading internal/relay:TestWriteStall"},
	{"names that are not found, late, or of one family", "TestDial TestResolve TestResolveTimesOut TestCandidatesAlternate cmd/mpsocks:testReplies"},
	{"refused, by the target or on the way", "TestDial TestReplyForErrno cmd/mpsocks:testReplies cmd/mpsocks:testRouters"},
	{"unreachable, prohibited, swallowed, here or on the way", "TestReplyForErrno cmd/mpsocks:testReplies cmd/mpsocks:testRouters"},
	{"routing loop", "cmd/mpsocks:testRoutingLoop"},
	{"target that never answers", "TestSilentTarget cmd/mpsocks:testSilentTarget"},
	{"denied by a rule, before it is looked up", "TestBadHandshakes TestEgressDeniesSpecialAddresses TestCheckName"},
	{"no path, no route, no egress", "TestEgressUnreachable TestEgressNeverReplies upstream:TestDialWhileEgressIsDown upstream:TestDialWithoutRoute cmd/mpsocks:testCrash"},
	{"guessed passwords", "TestBruteForceIsSlow TestPenaltiesGrow TestWrongPasswordsGetSlower TestParallelGuessesAreNoCheaper TestFloodOfGuesses"},
	{"connections that come and go", "TestChurn cmd/mpsocks:TestConnectionChurn"},
	{"10,000 that lie idle", "TestIdleTunnelsStay cmd/mpsocks:TestIdleTunnels"},
	{"no descriptors", "TestAcceptorGoesOn TestAcceptorDoesNotSpin cmd/mpsocks:TestOutOfDescriptors"},
	{"datagrams: fragments, bad headers, all lengths, strangers, 10,000 associations", "TestUDPBadDatagrams TestUDPEcho TestUDPStrangers TestUDPTooLongForClient TestUDPEndsWithConnection TestUDPLimits TestUDPDeniesSpecialAddresses TestUDPNamesAreResolved cmd/mpsocks:TestUDPAssociations"},
	{"bound address of a listener on all addresses, behind a NAT, of the other family", "TestListeners TestReplyBytes TestUDPAnnounced TestUDPPortsAndAdvertise"},
	{"listeners of either family, of both, unix sockets; who may connect", "TestListeners TestServeSeveralListeners TestJoinedUnixSocket TestAllowClients cmd/mpsocks:TestListenUnix"},
	{"a megabyte in a handshake", "TestBadHandshakes TestNegotiateReadsLittle"},
	{"a page that posts to the port", "TestBadHandshakes TestStrangers"},
}

// What the catalogue names is there.
func TestCatalogue(t *testing.T) {
	there := make(map[string]string) // the text of the tests in a folder
	for _, row := range catalogue {
		for _, name := range strings.Fields(row.tests) {
			folder, test, ok := strings.Cut(name, ":")
			if !ok {
				folder, test = "socks", name
			}
			if _, ok := there[folder]; !ok {
				there[folder] = testsIn(t, filepath.Join("..", filepath.FromSlash(folder)))
			}
			if !strings.Contains(there[folder], " "+test+"(t *testing.T)") {
				t.Errorf("%s: there is no %s in %s", row.input, test, folder)
			}
		}
	}
}

func testsIn(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files of tests, %v", folder, len(files), err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// badHandshake is something a client says, and all that must come of it: an answer and an end, at once, without a query, a connection to
// a target or a line in the log of everyday, and nothing of what was said on anybody's terminal.
type badHandshake struct {
	name   string
	users  bool // the front wants passwords
	said   string
	answer string
	status int // instead of the answer, for HTTP
	leaves bool
	logged bool // a rule or a password is against it, which people want to know
}

const (
	greeting     = "\x05\x01\x00"
	passGreeting = "\x05\x01\x02"
	none         = "\x00\x01\x00\x00\x00\x00\x00\x00" // reserved byte and address of a refusal
)

// named is a whole SOCKS5 request for a name.
func named(host string) string {
	return greeting + "\x05\x01\x00\x03" + string([]byte{byte(len(host))}) + host + "\x00\x50"
}

// addressed is one for an address.
func addressed(host string) string {
	return greeting + string(Target{ip: netip.MustParseAddr(host), port: 80}.appendTo([]byte("\x05\x01\x00")))
}

func badHandshakes() []badHandshake {
	chosen, no := "\x05\x00", "\x05\xff"
	refusal := func(r Reply) string { return chosen + "\x05" + string([]byte{byte(r)}) + none }
	list := []badHandshake{
		{name: "tls instead of a proxy's protocol", said: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc"},
		{name: "ssh instead of a proxy's protocol", said: "SSH-2.0-OpenSSH_9.6\r\n"},
		{name: "version 0", said: "\x00\x01\x00"},
		{name: "version 6", said: "\x06\x01\x00"},
		{name: "page fetched from the port", said: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", status: 400},
		{name: "page posted to the port", said: "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n<script/>", status: 400},
		{name: "http without a version", said: "GET /\r\n", status: 400},
		{name: "http 2 without an upgrade", said: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 505},
		{name: "http head without end", said: "GET http://good.example/ HTTP/1.1\r\nX: " + strings.Repeat("x", maxHTTPHead), status: 431},
		{name: "http connect without a port", said: "CONNECT good.example HTTP/1.1\r\n\r\n", status: 400},
		{name: "http connect to a bad name", said: "CONNECT a..b:80 HTTP/1.1\r\n\r\n", status: 502},
		{name: "http connect to inet_aton form", said: "CONNECT 0x7f.1:80 HTTP/1.1\r\n\r\n", status: 502},
		{name: "plain http to inet_aton form", said: "GET http://2130706433/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", status: 502},
		{name: "socks4 bind", said: "\x04\x02\x00\x50\x01\x02\x03\x04\x00", answer: rejected4},
		{name: "socks4 with users", users: true, said: "\x04\x01\x00\x50\x01\x02\x03\x04me\x00", answer: rejected4},
		{name: "socks4 user id without end", said: "\x04\x01\x00\x50\x01\x02\x03\x04" + strings.Repeat("u", 300), answer: rejected4},

		{name: "no methods", said: "\x05\x00", answer: no},
		{name: "gssapi only", said: "\x05\x01\x01", answer: no},
		{name: "private methods only", said: "\x05\x03\x80\xc0\xfe", answer: no},
		{name: "password wanted and not offered", users: true, said: greeting, answer: no},
		{name: "auth version 0", users: true, said: passGreeting + "\x00", answer: "\x05\x02\x01\x01"},
		{name: "auth version 2", users: true, said: passGreeting + "\x02\x02me\x02pw", answer: "\x05\x02\x01\x01"},
		{name: "auth version 5", users: true, said: passGreeting + "\x05\x02me\x02pw", answer: "\x05\x02\x01\x01"},
		{name: "empty user and password", users: true, said: passGreeting + "\x01\x00\x00", answer: "\x05\x02\x01\x01", logged: true},
		{name: "longest user and password", users: true, said: passGreeting + "\x01\xff" + strings.Repeat("u", 255) + "\xff" + strings.Repeat("p", 255), answer: "\x05\x02\x01\x01", logged: true},
		{name: "user that is no text", users: true, said: passGreeting + "\x01\x02\xff\xfe\x02pw", answer: "\x05\x02\x01\x01", logged: true},
		{name: "password with a NUL", users: true, said: passGreeting + "\x01\x02me\x03pw\x00", answer: "\x05\x02\x01\x01", logged: true},
		{name: "auth before the methods", users: true, said: "\x01\x02me\x02pw"},
		{name: "auth although none was chosen", said: greeting + "\x01\x02me\x02pw", answer: chosen + "\x05\x01" + none},
		{name: "request of version 4", said: greeting + "\x04\x01\x00\x01\x5d\xb8\xd8\x22\x00\x50", answer: chosen + "\x05\x01" + none},
		{name: "request of version 0", said: greeting + "\x00\x01\x00\x01\x5d\xb8\xd8\x22\x00\x50", answer: chosen + "\x05\x01" + none},

		{name: "empty name", said: named(""), answer: refusal(ReplyHostUnreachable)},
		{name: "port 0", said: greeting + "\x05\x01\x00\x01\x5d\xb8\xd8\x22\x00\x00", answer: refusal(ReplyConnectionRefused)},
		{name: "port 0 of a name", said: greeting + "\x05\x01\x00\x03\x0cgood.example\x00\x00", answer: refusal(ReplyConnectionRefused)},
		{name: "a megabyte behind a bad request", said: greeting + "\x05\x01\x00\x02" + strings.Repeat("x", 1<<20), answer: chosen + "\x05\x08" + none},

		{name: "end before the first byte", leaves: true},
		{name: "end in the greeting", said: "\x05\x02", leaves: true},
		{name: "end behind the greeting", said: greeting, answer: chosen, leaves: true},
		{name: "end in the request", said: greeting + "\x05\x01\x00\x01\x5d", answer: chosen, leaves: true},
		{name: "end in the password", users: true, said: passGreeting + "\x01\x02me\x09p", answer: "\x05\x02\x01\x01", leaves: true},
		{name: "end in the socks4 request", said: "\x04\x01\x00\x50\x01", leaves: true},
		{name: "end in the http method", said: "CONNE", leaves: true},
		{name: "end in the http head", said: "CONNECT good.example:80 HTTP/1.1\r\nHost", leaves: true},
		{name: "end in the plain http head", said: "GET http://good.example/ HTTP/1.1\r\nHost", leaves: true},
	}
	for _, command := range []byte{0x00, 0x04, 0x80, 0xef, 0xf2, 0xff} {
		list = append(list, badHandshake{
			name: fmt.Sprintf("command %#02x", command), answer: refusal(ReplyCommandNotSupported),
			said: greeting + "\x05" + string([]byte{command}) + "\x00\x01\x5d\xb8\xd8\x22\x00\x50",
		})
	}
	for _, addrType := range []byte{0, 2, 5, 0xff} {
		list = append(list, badHandshake{ // without waiting for an address
			name: fmt.Sprintf("address type %#02x", addrType), said: greeting + "\x05\x01\x00" + string([]byte{addrType}),
			answer: refusal(ReplyAddrTypeNotSupported),
		})
	}
	for _, host := range []string{
		"a\x00b", "a\nb", "a\rb", "a\x1b[2Jb", "a b", "a/b", "me@a.b", "a.b:80", "[::1]", "*", "a..b", ".a", "-a.b", "a-.b", strings.Repeat("a", 64) + ".b",
		strings.Repeat("a", 255), strings.Repeat("a.", 127) + "a", "\xff\xfe.b", "b\u00fccher.example", "\U0001F9A6.example", "a\u202eb.example",
		"2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.1", "127.0.0.01", "0", "1.2.3.4.5", "256.1.1.1", "a.0x1", "1.2.3.4..",
	} {
		list = append(list, badHandshake{name: fmt.Sprintf("name %q", host), said: named(host), answer: refusal(ReplyHostUnreachable)})
	}
	for _, host := range []string{
		"127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::", "0.0.0.0", "255.255.255.255", "224.0.0.1", "ff02::1",
		"10.0.0.1", "169.254.169.254", "fe80::1", "fd00:ec2::254",
	} {
		list = append(
			list,
			badHandshake{name: "address " + host, said: addressed(host), answer: refusal(ReplyNotAllowed), logged: true},
			badHandshake{name: "address as a name " + host, said: named(host), answer: refusal(ReplyNotAllowed), logged: true},
		)
	}
	return append(list, badHandshake{name: "address with a zone", said: named("fe80::1%lo"), answer: refusal(ReplyNotAllowed), logged: true})
}

func TestBadHandshakes(t *testing.T) {
	for _, tt := range badHandshakes() {
		t.Run(tt.name, func(t *testing.T) {
			cfg := FrontConfig{}
			if tt.users {
				cfg.Users = map[string]string{"me": "plain:pw"}
			}
			onSite(t, cfg, func(s *site) { tt.run(s) })
		})
	}
}

func (tt *badHandshake) run(s *site) {
	c := s.client()
	defer c.Close()
	start := time.Now()
	said := make(chan struct{})
	go func() {
		defer close(said)
		_, _ = c.Write([]byte(tt.said)) // may be refused before all of it
		if tt.leaves {
			_ = c.CloseWrite()
		}
	}()
	answer := make([]byte, max(len(tt.answer), 1))
	n, err := io.ReadFull(c, answer)
	rest := []byte(nil)
	if err == nil {
		rest, _ = io.ReadAll(c) // the end, or a reset where too much was said
	}
	if took := time.Since(start); took > instant && tt.status == 0 {
		s.t.Errorf("it took %v, want an answer at once", took)
	}
	got := append(answer[:n], rest...)
	if tt.status != 0 {
		checkHTTPAnswer(s.t, got, tt.status)
	} else if string(got) != tt.answer {
		s.t.Errorf("answered %s, want %s", hex.EncodeToString(got), hex.EncodeToString([]byte(tt.answer)))
	}
	c.Close()
	<-said
	if queries, dials := s.counts(); queries+dials > 0 {
		s.t.Errorf("%d queries and %d connections to targets, want none", queries, dials)
	}
	if log := s.log.String(); (log != "") != tt.logged || strings.ContainsAny(log, "\x00\x1b\r\u202e") {
		s.t.Errorf("the log has %q", log)
	}
}

// What a client that leaves in the middle of its handshake has said matters no more when it leaves by a reset.
func TestResetHandshakes(t *testing.T) {
	for _, tt := range badHandshakes() {
		if !tt.leaves {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			cfg := FrontConfig{}
			if tt.users {
				cfg.Users = map[string]string{"me": "plain:pw"}
			}
			onSite(t, cfg, func(s *site) {
				c := s.client()
				_, _ = c.Write([]byte(tt.said))
				time.Sleep(instant)
				start := time.Now()
				_ = c.Reset()
				time.Sleep(instant) // Shutdown would end a handshake that is under way
				synctest.Wait()
				s.front.gate.mu.Lock()
				inside := s.front.gate.inside.Len()
				s.front.gate.mu.Unlock()
				if inside > 0 {
					s.t.Error("the handshake goes on")
				}
				if err := s.front.Shutdown(s.t.Context()); err != nil || time.Since(start) > 2*instant {
					s.t.Errorf("shutdown = %v after %v, want that nothing is left", err, time.Since(start))
				}
				if queries, dials := s.counts(); queries+dials > 0 || s.log.String() != "" {
					s.t.Errorf("%d queries, %d connections to targets, the log %q; want none", queries, dials, s.log.String())
				}
			})
		})
	}
}

// A request whose every byte but the reserved one is right is served: that one has been anything for decades. It is counted.
func TestReservedByteIsCounted(t *testing.T) {
	onSite(t, FrontConfig{}, func(s *site) {
		for i, reserved := range []string{"\x00", "\xff", "\x01"} {
			c := s.client()
			defer c.Close()
			mustWrite(s.t, c, []byte(greeting+"\x05\x01"+reserved+"\x03\x0cgood.example\x00\x50"))
			target := <-s.targets
			defer target.Close()
			wantRead(s.t, c, []byte("\x05\x00\x05\x00"))
			if got := s.front.Totals(); got.Odd != uint64(i) || got.Opened != uint64(i+1) {
				s.t.Errorf("after reserved byte %x: %d odd requests of %d, want %d of %d", reserved, got.Odd, got.Opened, i, i+1)
			}
		}
		c := s.client()
		defer c.Close()
		mustWrite(s.t, c, []byte(greeting+"\x05\xf0\x07\x03\x0cgood.example\x00\x00"))
		wantRead(s.t, c, []byte("\x05\x00\x05\x00"))
		if got := s.front.Totals(); got.Odd != 3 {
			s.t.Errorf("after a look-up with a reserved byte: %d odd requests, want 3", got.Odd)
		}
	})
}

// A crowd that says nothing, or next to nothing, costs itself its connections and a client in good faith nothing.
func TestSilentCrowd(t *testing.T) {
	onSite(t, FrontConfig{}, func(s *site) {
		const crowd = 4000
		start := time.Now()
		var conns []net.Conn
		for i := range crowd {
			c := s.client()
			defer c.Close()
			mustWrite(s.t, c, []byte([]string{"", "\x05", "GET", "\x05\x01\x00", "\x04\x01\x00"}[i%5]))
			conns = append(conns, c)
		}
		synctest.Wait() // on a busy machine all of them might come after the next one otherwise
		served := 0
		for range 200 {
			client, target := s.tunnel()
			mustWrite(s.t, client, []byte("hello"))
			wantRead(s.t, target, []byte("hello"))
			served++
			client.Close()
			target.Close()
			more := s.client() // the crowd goes on coming
			defer more.Close()
			mustWrite(s.t, more, []byte("\x05"))
			conns = append(conns, more)
		}
		if took := time.Since(start); took > instant || served != 200 {
			s.t.Errorf("%d clients in good faith were served in %v, want 200 at once", served, took)
		}
		s.front.gate.mu.Lock()
		inside := s.front.gate.inside.Len()
		s.front.gate.mu.Unlock()
		if inside > defaultMaxHandshakes {
			s.t.Errorf("%d handshakes are under way, want at most %d", inside, defaultMaxHandshakes)
		}
		for _, c := range conns {
			_, _ = io.Copy(io.Discard, c)
		}
		if took := time.Since(start); took > defaultHandshakeTimeout+instant {
			s.t.Errorf("the last of the crowd was let go after %v, want %v", took, defaultHandshakeTimeout)
		}
	})
}

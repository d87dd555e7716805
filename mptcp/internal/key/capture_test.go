package key

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/option"
)

// The recordings of the option package, described in the README beside them.
const captures = "../../option/testdata/captures/*.json"

type capture struct {
	ExpectedFailures *string `json:"expected_failures"`
	Connections      []struct {
		KeyA   hexUint64 `json:"key_a"`
		KeyB   hexUint64 `json:"key_b"`
		TokenA hexUint64 `json:"token_a"`
		TokenB hexUint64 `json:"token_b"`
		IDSNA  hexUint64 `json:"idsn_a"`
		IDSNB  hexUint64 `json:"idsn_b"`
	}
	Subflows []struct{ Connection *int }
	Checks   []check
	Packets  []packet
}

type check struct {
	Check, Recomputed, Tshark, Token string
	Packet                           int
	OK                               bool
}

type packet struct {
	N, Subflow  int
	Dir, Sender string
	Options     []struct{ Raw string }
}

type hexUint64 uint64

func (h *hexUint64) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 16, 64)
	*h = hexUint64(v)
	return err
}

func forCaptures(t *testing.T, f func(t *testing.T, c *capture)) {
	t.Helper()
	files, err := filepath.Glob(captures)
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var c capture
			if err := json.Unmarshal(text, &c); err != nil {
				t.Fatal(err)
			}
			f(t, &c)
		})
	}
}

func TestCapturesKeys(t *testing.T) {
	forCaptures(t, func(t *testing.T, c *capture) {
		for i, conn := range c.Connections {
			for _, side := range []struct{ key, token, idsn hexUint64 }{
				{conn.KeyA, conn.TokenA, conn.IDSNA}, {conn.KeyB, conn.TokenB, conn.IDSNB},
			} {
				if side.key == 0 {
					continue // never on the wire: the side, or the middlebox before it, fell back
				}
				k := Key(side.key)
				if k.Token(option.V1) != Token(side.token) || k.IDSN(option.V1) != uint64(side.idsn) {
					t.Errorf("connection %d: token %#x, IDSN %#x, want %#x, %#x", i,
						k.Token(option.V1), k.IDSN(option.V1), side.token, side.idsn)
				}
			}
		}
	})
}

// TestCapturesChecks makes every derivation again that the recordings were
// checked with, and wants the same verdict and the same value.
func TestCapturesChecks(t *testing.T) {
	derive := map[string]func(*capture, *packet) derived{
		"A bit on third ACK equals OR of both SYNs":                  (*capture).checksumFlag,
		"MP_CAPABLE third ACK echoes key B":                          (*capture).echoedKey,
		"tshark expected token agrees":                               (*capture).token,
		"tshark expected idsn agrees":                                (*capture).idsn,
		"MP_JOIN token is SHA256(key)[0:4] of a known connection":    (*capture).joinToken,
		"MP_JOIN SYN/ACK HMAC = HMAC(keyR|keyI, nonceR|nonceI)[0:8]": (*capture).joinSYNACK,
		"MP_JOIN ACK HMAC = HMAC(keyI|keyR, nonceI|nonceR)[0:20]":    (*capture).joinACK,
		"ADD_ADDR HMAC = HMAC(keyS|keyP, id|addr|port)[24:32]":       (*capture).addAddr,
		"MP_FASTCLOSE carries the key of the receiver":               (*capture).fastClose,
	}
	done := map[string]int{}
	forCaptures(t, func(t *testing.T, c *capture) {
		for _, check := range c.Checks {
			f := derive[check.Check]
			if f == nil {
				if !strings.Contains(check.Check, "checksum") { // the codec's tests have those
					t.Errorf("packet %d: no derivation for %q", check.Packet, check.Check)
				}
				continue
			}
			done[check.Check]++
			got := f(c, c.packet(check.Packet))
			if got.ok != check.OK || !check.OK && c.ExpectedFailures == nil {
				t.Errorf("packet %d: %s: %v, want %v", check.Packet, check.Check, got.ok, check.OK)
			}
			for _, want := range []string{check.Recomputed, check.Tshark, check.Token} {
				if want != "" && got.value != want {
					t.Errorf("packet %d: %s: %s, want %s", check.Packet, check.Check, got.value, want)
				}
			}
		}
	})
	for name := range derive {
		if done[name] == 0 {
			t.Errorf("no recording has a check of %q", name)
		}
	}
}

// derived is the outcome of a derivation: whether the packet carries what was
// computed, and the value as the recordings write it.
type derived struct {
	ok    bool
	value string
}

func (c *capture) packet(n int) *packet {
	for i := range c.Packets {
		if c.Packets[i].N == n {
			return &c.Packets[i]
		}
	}
	return nil
}

// secret returns what the sender of a packet knows; without a connection, of
// two zero keys.
func (c *capture) secret(p *packet) Secret {
	i := c.Subflows[p.Subflow].Connection
	if i == nil {
		return Secret{Version: option.V1}
	}
	conn := c.Connections[*i]
	s := Secret{Local: Key(conn.KeyA), Remote: Key(conn.KeyB), Version: option.V1}
	if p.Sender == "B" {
		s.Local, s.Remote = s.Remote, s.Local
	}
	return s
}

// find returns the first option of a packet that the parser takes.
func find[T any](p *packet, parse func([]byte) (T, error)) (T, bool) {
	for _, o := range p.Options {
		b, err := hex.DecodeString(o.Raw)
		if err != nil {
			break
		}
		if v, err := parse(b); err == nil {
			return v, true
		}
	}
	var zero T
	return zero, false
}

// nonces returns those of the opener of a subflow and of its responder.
func (c *capture) nonces(subflow int) (opener, responder uint32) {
	for i := range c.Packets {
		p := &c.Packets[i]
		if p.Subflow != subflow {
			continue
		}
		if j, ok := find(p, option.ParseJoinSYN); ok {
			opener = j.Nonce
		}
		if j, ok := find(p, option.ParseJoinSYNACK); ok {
			responder = j.Nonce
		}
	}
	return opener, responder
}

func (c *capture) echoedKey(p *packet) derived {
	m, ok := find(p, option.ParseCapable)
	return derived{ok: ok && Key(m.ReceiverKey) == c.secret(p).Remote}
}

// checksumFlag wants the A flag of a third ACK to be the one negotiated by the
// two packets before.
func (c *capture) checksumFlag(p *packet) derived {
	negotiated := false
	for i := range c.Packets {
		m, ok := find(&c.Packets[i], option.ParseCapable)
		if ok && c.Packets[i].Subflow == p.Subflow && m.Form <= option.CapableKey {
			negotiated = negotiated || m.ChecksumRequired
		}
	}
	m, ok := find(p, option.ParseCapable)
	return derived{ok: ok && m.ChecksumRequired == negotiated}
}

func (c *capture) token(p *packet) derived {
	m, ok := find(p, option.ParseCapable)
	return derived{ok, fmt.Sprintf("%08x", uint32(Key(m.SenderKey).Token(m.Version)))}
}

func (c *capture) idsn(p *packet) derived {
	m, ok := find(p, option.ParseCapable)
	return derived{ok, fmt.Sprintf("%016x", Key(m.SenderKey).IDSN(m.Version))}
}

func (c *capture) joinToken(p *packet) derived {
	j, _ := find(p, option.ParseJoinSYN)
	known := false
	for _, conn := range c.Connections {
		for _, k := range []hexUint64{conn.KeyA, conn.KeyB} {
			known = known || Key(k).Token(option.V1) == Token(j.Token)
		}
	}
	return derived{known, fmt.Sprintf("%08x", j.Token)}
}

func (c *capture) joinSYNACK(p *packet) derived {
	j, ok := find(p, option.ParseJoinSYNACK)
	opener, responder := c.nonces(p.Subflow)
	mac := c.secret(p).LocalJoinMAC(responder, opener, nil).SYNACK()
	return derived{ok && Equal(mac[:], j.HMAC[:]), hex.EncodeToString(mac[:])}
}

func (c *capture) joinACK(p *packet) derived {
	j, ok := find(p, option.ParseJoinACK)
	opener, responder := c.nonces(p.Subflow)
	mac := c.secret(p).LocalJoinMAC(opener, responder, nil).ACK()
	return derived{ok && Equal(mac[:], j.HMAC[:]), hex.EncodeToString(mac[:])}
}

func (c *capture) addAddr(p *packet) derived {
	a, ok := find(p, func(b []byte) (option.AddAddr, error) { return option.ParseAddAddr(b, option.V1) })
	mac := c.secret(p).LocalAddAddrMAC(a.ID, a.Addr, a.Port)
	return derived{ok && Equal(mac[:], a.HMAC[:]), hex.EncodeToString(mac[:])}
}

func (c *capture) fastClose(p *packet) derived {
	f, ok := find(p, option.ParseFastClose)
	return derived{ok: ok && Key(f.Key) == c.secret(p).Remote}
}

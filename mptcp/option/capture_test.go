package option

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
)

// capture is one file of testdata/captures; see the README there.
type capture struct {
	Scenario         string
	ExpectedFailures *string `json:"expected_failures"`
	Connections      []captureConnection
	Subflows         []struct{ Connection *int }
	Payloads         [][]byte
	Checks           []captureCheck
	Packets          []capturePacket
}

type captureConnection struct {
	Checksum bool
	IDSNA    hexUint64 `json:"idsn_a"`
	IDSNB    hexUint64 `json:"idsn_b"`
}

type captureCheck struct {
	Check, Recomputed string
	Packet            int
	OK                bool
}

type capturePacket struct {
	N       int
	Subflow int
	Sender  string
	Options []captureOption
}

type captureOption struct {
	Raw     hexBytes
	Subtype string
	Mapping *int

	// MP_CAPABLE and DSS
	Version     Version
	Flags       string
	SenderKey   hexUint64 `json:"sender_key"`
	ReceiverKey hexUint64 `json:"receiver_key"`
	DataLen     uint16    `json:"data_len"`
	Checksum    *hexUint64
	DataACK     hexUint64 `json:"data_ack"`
	DSN         hexUint64
	SSN         uint32

	// MP_JOIN
	Form    string
	Backup  uint8
	AddrID  uint8 `json:"address_id"`
	Token   hexUint64
	Nonce   hexUint64
	HMAC64  hexBytes `json:"hmac64"`
	HMAC160 hexBytes `json:"hmac160"`

	// ADD_ADDR and REMOVE_ADDR
	Echo    uint8
	Address netip.Addr
	Port    *uint16
	AddrIDs []int `json:"address_ids"`

	// MP_TCPRST
	T, U, V, W uint8
	Reason     Reason
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

type hexUint64 uint64

func (h *hexUint64) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 16, 64)
	*h = hexUint64(v)
	return err
}

// forCaptures runs f on every capture.
func forCaptures(t *testing.T, f func(t *testing.T, c *capture)) {
	t.Helper()
	files, err := filepath.Glob("testdata/captures/*.json")
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

// forOptions runs f on every option of every capture and wants some.
func forOptions(t *testing.T, f func(t *testing.T, where string, o *captureOption)) {
	t.Helper()
	seen := 0
	forCaptures(t, func(t *testing.T, c *capture) {
		for _, p := range c.Packets {
			for i := range p.Options {
				seen++
				f(t, fmt.Sprintf("packet %d option %x", p.N, []byte(p.Options[i].Raw)), &p.Options[i])
			}
		}
	})
	if seen < 1000 {
		t.Errorf("captures hold %d options, want over 1000", seen)
	}
}

// codec is what every option struct can do.
type codec interface {
	Len() int
	Append([]byte) []byte
}

var errUnassigned = errors.New("unassigned subtype")

// parseAny parses an option of whatever subtype and form it is.
func parseAny(raw Raw, v Version) (codec, error) {
	b := raw.Bytes
	switch raw.Subtype {
	case SubtypeCapable:
		return boxed(ParseCapable(b))
	case SubtypeJoin:
		switch len(b) {
		case JoinSYNACKLen:
			return boxed(ParseJoinSYNACK(b))
		case JoinACKLen:
			return boxed(ParseJoinACK(b))
		}
		return boxed(ParseJoinSYN(b))
	case SubtypeDSS:
		return boxed(ParseDSS(b))
	case SubtypeAddAddr:
		return boxed(ParseAddAddr(b, v))
	case SubtypeRemoveAddr:
		return boxed(ParseRemoveAddr(b))
	case SubtypePrio:
		return boxed(ParsePrio(b))
	case SubtypeFail:
		return boxed(ParseFail(b))
	case SubtypeFastClose:
		return boxed(ParseFastClose(b))
	case SubtypeTCPReset:
		return boxed(ParseTCPReset(b))
	}
	return nil, errUnassigned
}

func boxed[T codec](o T, err error) (codec, error) { return o, err }

// mustNext takes the only option of b, whatever it is.
func mustNext(t *testing.T, b []byte) Raw {
	t.Helper()
	raw, rest, err := Next(b)
	if err != nil || len(rest) != 0 || !bytes.Equal(raw.Bytes, b) {
		t.Fatalf("Next(%x) = %x, rest %x, %v, want it whole", b, raw.Bytes, rest, err)
	}
	return raw
}

// want builds the struct that a captured option should parse to.
func (o *captureOption) want() codec {
	switch o.Subtype {
	case "MP_CAPABLE":
		return o.wantCapable()
	case "MP_JOIN":
		return o.wantJoin()
	case "DSS":
		return o.wantDSS()
	case "ADD_ADDR":
		return o.wantAddAddr()
	case "REMOVE_ADDR":
		r := RemoveAddr{}
		for _, id := range o.AddrIDs {
			r.IDs = append(r.IDs, uint8(id))
		}
		return r
	case "MP_PRIO":
		return Prio{Backup: o.Backup == 1}
	case "MP_FAIL":
		return Fail{DSN: uint64(o.DSN)}
	case "MP_FASTCLOSE":
		return FastClose{Key: uint64(o.ReceiverKey)}
	case "MP_TCPRST":
		return TCPReset{Reserved: o.U<<2 | o.V<<1 | o.W, Transient: o.T == 1, Reason: o.Reason}
	}
	return nil
}

func (o *captureOption) flag(name string) bool { return bytes.Contains([]byte(o.Flags), []byte(name)) }

func (o *captureOption) checksum() uint16 {
	if o.Checksum == nil {
		return 0
	}
	return uint16(*o.Checksum)
}

func (o *captureOption) wantCapable() Capable {
	forms := map[int]CapableForm{
		4: CapableBare, 12: CapableKey, 20: CapableKeys, 22: CapableData, 24: CapableDataChecksum,
	}
	c := Capable{
		Version: o.Version, Form: forms[len(o.Raw)],
		ChecksumRequired: o.flag("A"), Extensible: o.flag("B"), NoMoreSubflows: o.flag("C"),
		SenderKey: uint64(o.SenderKey), ReceiverKey: uint64(o.ReceiverKey),
		DataLen: o.DataLen, Checksum: o.checksum(),
	}
	for i, name := range []string{"H", "G", "F", "E", "D"} {
		c.Crypto |= bit(o.flag(name), 1<<i)
	}
	return c
}

func (o *captureOption) wantJoin() codec {
	switch o.Form {
	case "SYN":
		return JoinSYN{Backup: o.Backup == 1, AddrID: o.AddrID, Token: uint32(o.Token), Nonce: uint32(o.Nonce)}
	case "SYN/ACK":
		return JoinSYNACK{Backup: o.Backup == 1, AddrID: o.AddrID, HMAC: [8]byte(o.HMAC64), Nonce: uint32(o.Nonce)}
	}
	return JoinACK{HMAC: [20]byte(o.HMAC160)}
}

func (o *captureOption) wantDSS() DSS {
	return DSS{
		HasAck: o.flag("A"), Ack64: o.flag("a"), DataACK: uint64(o.DataACK),
		HasMap: o.flag("M"), DSN64: o.flag("m"), DSN: uint64(o.DSN), SSN: o.SSN, Length: o.DataLen,
		HasChecksum: o.Checksum != nil, Checksum: o.checksum(),
		DataFIN: o.flag("F"),
	}
}

func (o *captureOption) wantAddAddr() AddAddr {
	a := AddAddr{Version: V1, Echo: o.Echo == 1, ID: o.AddrID, Addr: o.Address}
	if o.Port != nil {
		a.HasPort, a.Port = true, *o.Port
	}
	copy(a.HMAC[:], o.HMAC64)
	return a
}

func TestCapturesParseAndReencode(t *testing.T) {
	forOptions(t, func(t *testing.T, where string, o *captureOption) {
		raw := mustNext(t, o.Raw)
		got, err := parseAny(raw, V1)
		if want := o.want(); want == nil {
			if err != errUnassigned {
				t.Errorf("%s: parse = %v, %v, want it left alone", where, got, err)
			}
			return
		} else if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: parse = %+v, %v, want %+v", where, got, err, want)
			return
		}
		if raw.Subtype.String() != o.Subtype {
			t.Errorf("%s: subtype = %v, want %v", where, raw.Subtype, o.Subtype)
		}
		if b := got.Append(nil); !bytes.Equal(b, o.Raw) || got.Len() != len(o.Raw) {
			t.Errorf("%s: append = %x, len %d", where, b, got.Len())
		}
	})
}

func TestCapturesRefuseEveryPrefix(t *testing.T) {
	forOptions(t, func(t *testing.T, where string, o *captureOption) {
		for n := range len(o.Raw) {
			if raw, rest, err := Next(o.Raw[:n]); n > 0 && (!errors.Is(err, ErrTruncated) || raw.Bytes != nil || rest != nil) {
				t.Errorf("%s: Next of %d bytes = %x, %x, %v, want ErrTruncated", where, n, raw.Bytes, rest, err)
			}
			if o.want() == nil {
				continue
			}
			// The true length decides which parser sees the prefix.
			raw := Raw{Kind: Kind, Subtype: Subtype(o.Raw[2] >> 4), Bytes: o.Raw[:n]}
			if got, err := parseAny(raw, V1); !errors.Is(err, ErrTruncated) {
				t.Errorf("%s: parse of %d bytes = %+v, %v, want ErrTruncated", where, n, got, err)
			}
		}
	})
}

// TestCapturesChecksums recomputes every checksum for which the recording has
// the payload, and the verdicts that the recording came with.
func TestCapturesChecksums(t *testing.T) {
	sums := 0
	forCaptures(t, func(t *testing.T, c *capture) {
		for _, check := range c.Checks {
			if check.Check != "DSS checksum over mapping" && check.Check != "MP_CAPABLE data checksum" {
				continue
			}
			sums++
			sum, carried := c.sum(t, check.Packet)
			if sum.Verify(carried) != check.OK {
				t.Errorf("packet %d: verify %04x = %v, want %v", check.Packet, carried, !check.OK, check.OK)
			}
			if got := fmt.Sprintf("%04x", sum.Checksum()); check.Recomputed != "" && got != check.Recomputed {
				t.Errorf("packet %d: checksum = %s, want %s", check.Packet, got, check.Recomputed)
			}
			if !check.OK && c.ExpectedFailures == nil {
				t.Errorf("packet %d: a failure that nobody expects", check.Packet)
			}
		}
	})
	if sums != 78 {
		t.Errorf("captures hold %d checksums, want 78", sums)
	}
}

// sum feeds the mapping of a packet in pieces of growing, also odd length.
func (c *capture) sum(t *testing.T, packet int) (Sum, uint16) {
	t.Helper()
	for _, p := range c.Packets {
		if p.N != packet {
			continue
		}
		for _, o := range p.Options {
			if o.Mapping == nil {
				continue
			}
			s := c.newSum(&p, &o)
			rest := c.Payloads[*o.Mapping]
			for n := 0; len(rest) > 0; n++ {
				cut := min(n, len(rest))
				s.Add(rest[:cut])
				rest = rest[cut:]
			}
			return s, o.checksum()
		}
	}
	t.Fatalf("packet %d: no payload", packet)
	return Sum{}, 0
}

func (c *capture) newSum(p *capturePacket, o *captureOption) Sum {
	conn := c.Connections[*c.Subflows[p.Subflow].Connection]
	idsn := uint64(conn.IDSNA)
	if p.Sender == "B" {
		idsn = uint64(conn.IDSNB)
	}
	if o.Subtype == "MP_CAPABLE" {
		return NewSum(idsn+1, 1, o.DataLen)
	}
	dsn := uint64(o.DSN)
	if !o.flag("m") {
		dsn = Widen(uint32(dsn), idsn)
	}
	return NewSum(dsn, o.SSN, o.DataLen)
}

// TestCapturesChecksumPresence: the recordings say of each mapping whether it
// had a checksum exactly if that was negotiated.
func TestCapturesChecksumPresence(t *testing.T) {
	forCaptures(t, func(t *testing.T, c *capture) {
		for _, check := range c.Checks {
			dss := check.Check == "DSS checksum field present iff negotiated"
			if !dss && check.Check != "checksum field present iff negotiated (MP_CAPABLE+data)" {
				continue
			}
			if got := c.checksumAsNegotiated(check.Packet); got != check.OK {
				t.Errorf("packet %d: checksum as negotiated = %v, want %v", check.Packet, got, check.OK)
			}
		}
	})
}

func (c *capture) checksumAsNegotiated(packet int) bool {
	ok := true
	for _, p := range c.Packets {
		if p.N != packet {
			continue
		}
		negotiated := c.Connections[*c.Subflows[p.Subflow].Connection].Checksum
		for _, o := range p.Options {
			if d, err := ParseDSS(o.Raw); err == nil && d.HasMap && !d.Infinite() {
				ok = ok && d.HasChecksum == negotiated
			}
			if m, err := ParseCapable(o.Raw); err == nil && m.Form >= CapableData {
				ok = ok && (m.Form == CapableDataChecksum) == negotiated
			}
		}
	}
	return ok
}

package option

import "encoding/binary"

const (
	dssAck     = 0x01 // A
	dssAck64   = 0x02 // a
	dssMap     = 0x04 // M
	dssDSN64   = 0x08 // m
	dssDataFIN = 0x10 // F
)

// DSS is the data sequence signal: a Data ACK, a mapping, or both
// (RFC 8684 section 3.3). Fields of a part that is not there are zero.
type DSS struct {
	Reserved uint8 // 7 bits

	HasAck  bool
	Ack64   bool   // DataACK has 8 bytes, not 4; means nothing without HasAck
	DataACK uint64 // only the low half if not Ack64: see Widen

	HasMap      bool
	DSN64       bool   // DSN has 8 bytes, not 4; means nothing without HasMap
	DSN         uint64 // only the low half if not DSN64: see Widen
	SSN         uint32 // relative to the initial sequence number of the subflow
	Length      uint16 // of the mapping, the DATA_FIN included; 0: infinite
	HasChecksum bool   // means nothing without HasMap
	Checksum    uint16 // see Sum

	DataFIN bool // the last octet of the mapping is the DATA_FIN; means nothing without HasMap
}

// Infinite reports whether the mapping is the infinite one that announces the
// fallback to TCP (RFC 8684 section 3.7).
func (d DSS) Infinite() bool { return d.HasMap && d.Length == 0 }

// ParseDSS reads a DSS. Whether a checksum is there follows from the length;
// whether it should be is known to the connection alone.
func ParseDSS(b []byte) (DSS, error) {
	if err := check(b, SubtypeDSS); err != nil {
		return DSS{}, err
	}
	if len(b) < 4 {
		return DSS{}, fail(SubtypeDSS, ErrLength, len(b))
	}
	flags := b[3]
	d := DSS{
		Reserved: b[2]&0x0f<<3 | flags>>5,
		HasAck:   flags&dssAck != 0,
		Ack64:    flags&dssAck64 != 0,
		HasMap:   flags&dssMap != 0,
		DSN64:    flags&dssDSN64 != 0,
		DataFIN:  flags&dssDataFIN != 0,
	}
	// Len is now the length without a checksum, which only a mapping can have.
	switch n := d.Len(); {
	case len(b) == n && n > 4:
	case len(b) == n+2 && d.HasMap:
		d.HasChecksum = true
	default:
		return DSS{}, fail(SubtypeDSS, ErrLength, len(b))
	}
	d.parseBody(b[4:])
	return d, nil
}

// parseBody reads the fields that the flags announce; b is known to be as long
// as they need.
func (d *DSS) parseBody(b []byte) {
	if d.HasAck {
		d.DataACK, b = takeSeq(b, d.Ack64)
	}
	if !d.HasMap {
		return
	}
	d.DSN, b = takeSeq(b, d.DSN64)
	d.SSN = binary.BigEndian.Uint32(b)
	d.Length = binary.BigEndian.Uint16(b[4:])
	if d.HasChecksum {
		d.Checksum = binary.BigEndian.Uint16(b[6:])
	}
}

func takeSeq(b []byte, wide bool) (uint64, []byte) {
	if wide {
		return binary.BigEndian.Uint64(b), b[8:]
	}
	return uint64(binary.BigEndian.Uint32(b)), b[4:]
}

func appendSeq(b []byte, seq uint64, wide bool) []byte {
	if wide {
		return binary.BigEndian.AppendUint64(b, seq)
	}
	return binary.BigEndian.AppendUint32(b, uint32(seq))
}

// Len returns the length of the option, 8 to 28 bytes.
func (d DSS) Len() int {
	n := 4
	if d.HasAck {
		n += seqLen(d.Ack64)
	}
	if d.HasMap {
		n += seqLen(d.DSN64) + 6
		if d.HasChecksum {
			n += 2
		}
	}
	return n
}

func seqLen(wide bool) int {
	if wide {
		return 8
	}
	return 4
}

// Append writes the option to the end of b.
func (d DSS) Append(b []byte) []byte {
	flags := d.Reserved<<5 |
		bit(d.HasAck, dssAck) | bit(d.Ack64, dssAck64) |
		bit(d.HasMap, dssMap) | bit(d.DSN64, dssDSN64) | bit(d.DataFIN, dssDataFIN)
	b = append(b, Kind, uint8(d.Len()), uint8(SubtypeDSS)<<4|d.Reserved>>3&0x0f, flags)
	if d.HasAck {
		b = appendSeq(b, d.DataACK, d.Ack64)
	}
	if !d.HasMap {
		return b
	}
	b = appendSeq(b, d.DSN, d.DSN64)
	b = binary.BigEndian.AppendUint32(b, d.SSN)
	b = binary.BigEndian.AppendUint16(b, d.Length)
	if d.HasChecksum {
		b = binary.BigEndian.AppendUint16(b, d.Checksum)
	}
	return b
}

// Widen returns the 64-bit sequence number nearest to near whose low half is
// low: how a receiver reads a 4-byte DSN or Data ACK, near being what it
// expects (RFC 8684 section 3.3.1). The result may lie below near, and may wrap:
// whether it is within the window is for the caller to check. At exactly half
// the space away the lower number is taken, so that an old one is never read as
// new.
func Widen(low uint32, near uint64) uint64 {
	return near + uint64(int64(int32(low-uint32(near))))
}

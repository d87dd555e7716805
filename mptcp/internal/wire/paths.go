package wire

// MaxPathIDs bounds the address IDs of a Paths option.
const MaxPathIDs = 32

// Flags of a Paths option.
const (
	pathsOnly      = 0x01
	pathsRedundant = 0x02
	pathsNoBackup  = 0x04
)

// pathsLen is the length of a Paths option without address IDs.
const pathsLen = 5

// Paths says which subflows the octets of a stream may take, both ways. The opener of the stream says it.
type Paths struct {
	// Version grows by one, modulo 256, each time the rest changes.
	Version uint8
	// Only says that the subflows are those with the address IDs of IDs, of which there are N.
	Only bool
	N    int
	IDs  [MaxPathIDs]uint8
	// Redundant says that everything is to be sent by two of them.
	Redundant bool
	// NoBackup says that none with the role backup is among them.
	NoBackup bool
}

// Append appends p.
func (p *Paths) Append(b []byte) []byte {
	var flags byte
	if p.Only {
		flags |= pathsOnly
	}
	if p.Redundant {
		flags |= pathsRedundant
	}
	if p.NoBackup {
		flags |= pathsNoBackup
	}
	b = append(b, kindMPTCP, byte(pathsLen+p.N), subtypePrivate|byte(PrivPaths), flags, p.Version)
	return append(b, p.IDs[:p.N]...)
}

// ParsePaths reads an option checked by TypeOf.
func ParsePaths(b []byte) Paths {
	p := Paths{Version: b[4], Only: b[3]&pathsOnly != 0, Redundant: b[3]&pathsRedundant != 0, NoBackup: b[3]&pathsNoBackup != 0}
	p.N = copy(p.IDs[:], b[pathsLen:])
	return p
}

// pathsFit reports whether a Paths option may have n octets.
func pathsFit(n int) bool { return n >= pathsLen && n <= pathsLen+MaxPathIDs }

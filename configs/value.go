package configs

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/mpsocks/mpsocks/internal/units"
)

// Off is the value of a duration that is switched off in the file.
const Off = time.Duration(-1)

// setter reads one value into a configuration.
type setter = func(d *decoder, n *node, key string)

// scalar returns the text of n, or notes what it is instead.
func (d *decoder) scalar(n *node, key, want string) (string, bool) {
	switch n.kind {
	case kindNull:
		d.problem(n, key, "has no value; want %s, or remove the line for the default", want)
		return "", false
	case kindMap, kindList:
		d.problem(n, key, "must be %s, not %s", want, n.kind)
		return "", false
	}
	return n.text, true
}

// str returns the text of n and refuses what YAML reads as something else.
func (d *decoder) str(n *node, key, want string) (string, bool) {
	s, ok := d.scalar(n, key, want)
	if !ok {
		return "", false
	}
	if n.kind != kindString {
		d.problem(n, key, "must be %s, not %s; put it in quotes if it is meant as text", want, n.kind)
		return "", false
	}
	if s == "" {
		d.problem(n, key, "is empty; want %s", want)
		return "", false
	}
	return s, true
}

// fileName reads a file name, relative to the folder of the configuration.
func fileName(to *string) setter {
	return func(d *decoder, n *node, key string) {
		if s, ok := d.str(n, key, "a file name"); ok {
			*to = resolve(d.file, s)
		}
	}
}

// oneOf reads a word out of a few.
func oneOf(to *string, words ...string) setter {
	return func(d *decoder, n *node, key string) {
		want := "one of " + strings.Join(words, ", ")
		s, ok := d.scalar(n, key, want)
		switch {
		case !ok:
		case slices.Contains(words, s):
			*to = s
		default:
			d.problem(n, key, "must be %s, not %q", want, s)
		}
	}
}

// yesNo reads true or false.
func yesNo(to *bool) setter {
	return func(d *decoder, n *node, key string) {
		switch s, ok := d.scalar(n, key, "true or false"); {
		case !ok:
		case n.kind == kindBool:
			*to = s == "true"
		default:
			d.problem(n, key, "must be true or false, not %q", s)
		}
	}
}

// name reads a name that people give to a path or a client. It ends in logs,
// tables and metrics, so it must be short and plain.
func name(to *string) setter {
	return func(d *decoder, n *node, key string) {
		s, ok := d.scalar(n, key, "a name")
		if !ok {
			return
		}
		if err := CheckName(s); err != nil {
			d.problem(n, key, "%v", err)
			return
		}
		*to = s
	}
}

// maxName is the length of the longest name of a client or path.
const maxName = 64

// CheckName says what is wrong with s as the name of a client or a path.
func CheckName(s string) error {
	if s == "" || len(s) > maxName {
		return fmt.Errorf("name must have 1 to %d characters", maxName)
	}
	for _, r := range s {
		if !strings.ContainsRune("-_.", r) && (r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r)) {
			return fmt.Errorf("name %q has %q; only letters, digits, dot, dash and underscore are possible", s, r)
		}
	}
	return nil
}

// duration reads a time span with its unit, between low and high. canOff
// allows the word off.
func duration(to *time.Duration, low, high time.Duration, canOff bool) setter {
	return func(d *decoder, n *node, key string) {
		s, ok := d.scalar(n, key, "a time span such as 30s")
		if !ok {
			return
		}
		if canOff && isOff(n, s) {
			*to = Off
			return
		}
		v, err := time.ParseDuration(s)
		switch {
		case n.kind == kindNumber:
			d.problem(n, key, "has no unit: write %ss or %sm", s, s)
		case err != nil:
			d.problem(n, key, "must be a time span such as 30s or 5m, not %q", s)
		case v < low || v > high:
			d.problem(n, key, "must be between %s and %s, not %s", low, high, s)
		default:
			*to = v
		}
	}
}

// isOff reports whether a value is the word off, which is false to YAML 1.1 and text
// to YAML 1.2.
func isOff(n *node, s string) bool { return s == "off" || n.kind == kindBool && s == "false" }

// count reads a number between low and high, or the word off.
func count(to *int, low, high int) setter {
	return func(d *decoder, n *node, key string) {
		s, ok := d.scalar(n, key, "a number, or off")
		if !ok {
			return
		}
		if isOff(n, s) {
			*to = Unlimited
			return
		}
		v, err := strconv.Atoi(s)
		if err != nil || n.kind != kindNumber || v < low || v > high {
			d.problem(n, key, "must be a number between %d and %d, or off, not %q", low, high, s)
			return
		}
		*to = v
	}
}

// rateUnits are the units of rates.
var rateUnits = []struct {
	name string
	bits int64
}{{"kbit/s", 1e3}, {"Mbit/s", 1e6}, {"Gbit/s", 1e9}}

// parseRate reads a rate such as 100Mbit/s, in bits per second.
func parseRate(s string) (int64, bool) {
	for _, u := range rateUnits {
		if digits, ok := strings.CutSuffix(s, u.name); ok {
			v, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
			return v * u.bits, err == nil && v >= 0 && v <= math.MaxInt64/u.bits
		}
	}
	return 0, false
}

// ParseRate reads a rate such as 5Mbit/s, in bits per second, or off, which is 0.
func ParseRate(s string) (int64, bool) {
	if s == "off" {
		return 0, true
	}
	return parseRate(s)
}

// bitRate reads a number of bits per second with its unit, between low and high, or
// the word off.
func bitRate(to *int64, low, high int64) setter {
	return func(d *decoder, n *node, key string) {
		s, ok := d.scalar(n, key, "a rate such as 100Mbit/s, or off")
		if !ok {
			return
		}
		if isOff(n, s) {
			*to = Unlimited
			return
		}
		v, ok := parseRate(s)
		switch {
		case !ok:
			d.problem(n, key, "must be a rate such as 100Mbit/s, or off, not %q", s)
		case v < low || v > high:
			d.problem(n, key, "must be between %s and %s, or off, not %s", units.Rate(float64(low)), units.Rate(float64(high)), s)
		default:
			*to = v
		}
	}
}

// sizeUnits are the units of sizes; a plain number would be a riddle.
var sizeUnits = []struct {
	name string
	size int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}}

// parseSize reads a size such as 64MiB.
func parseSize(s string) (int64, bool) {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || v < 0 || v > math.MaxInt64/u.size {
			return 0, false
		}
		return v * u.size, true
	}
	return 0, false
}

// size reads a number of bytes with its unit, between low and high, or the
// word auto, which leaves 0.
func size(to *int64, low, high int64) setter {
	return func(d *decoder, n *node, key string) {
		s, ok := d.scalar(n, key, "auto or a size such as 64MiB")
		if !ok || s == "auto" {
			return
		}
		v, ok := parseSize(s)
		switch {
		case !ok:
			d.problem(n, key, "must be auto or a size such as 64MiB, not %q", s)
		case v < low || v > high:
			d.problem(n, key, "must be between %d KiB and %d MiB, not %s", low>>10, high>>20, s)
		default:
			*to = v
		}
	}
}

// address reads an IP address that a path can be bound to.
func address(to *netip.Addr) setter {
	return func(d *decoder, n *node, key string) {
		s, ok := d.scalar(n, key, "an IP address")
		if !ok {
			return
		}
		a, err := netip.ParseAddr(s)
		switch {
		case err != nil:
			d.problem(n, key, "must be an IP address, not %q", s)
		case a.IsUnspecified() || a.IsMulticast() || a.Is4In6():
			d.problem(n, key, "must be an address of this machine, not %s", s)
		default:
			*to = a
		}
	}
}

// portRange reads a port, a range of ports, or the word any, which leaves it as it is.
func portRange(to *[2]uint16) setter {
	return func(d *decoder, n *node, key string) {
		s, ok := d.scalar(n, key, "any, or ports such as 40000-40999")
		if !ok || s == "any" {
			return
		}
		first, last, isRange := strings.Cut(s, "-")
		if !isRange {
			last = first
		}
		lo, err := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
		hi, herr := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
		if err != nil || herr != nil || lo == 0 || lo > hi {
			d.problem(n, key, "must be any, or ports from 1 to 65535 such as 40000-40999, not %q", s)
			return
		}
		*to = [2]uint16{uint16(lo), uint16(hi)}
	}
}

// key32 reads a key of 32 bytes, as base64.
func key32(to *Key) setter {
	return func(d *decoder, n *node, key string) {
		s, ok := d.scalar(n, key, "a key")
		if !ok {
			return
		}
		k, err := ParseKey(s)
		if err != nil {
			d.problem(n, key, "%v", err)
			return
		}
		*to = k
	}
}

// list reads a list whose elements add reads; one element may stand alone.
func list(want string, add setter) setter {
	return func(d *decoder, n *node, key string) {
		switch n.kind {
		case kindNull: // everything in it is commented out
		case kindList:
			for i, it := range n.items {
				k := fmt.Sprintf("%s[%d]", key, i)
				d.places[k] = place{it.line, it.col}
				add(d, it, k)
			}
		case kindMap:
			d.problem(n, key, "must be a list of %s, not %s", want, n.kind)
		default:
			add(d, n, key)
		}
	}
}

// uniqueList reads a list of texts that check accepts, each at most once.
func uniqueList(to *[]string, want string, check func(string) error) setter {
	return list(want, func(d *decoder, n *node, key string) {
		s, ok := d.str(n, key, want)
		if !ok {
			return
		}
		if err := check(s); err != nil {
			d.problem(n, key, "%v", err)
			return
		}
		if slices.Contains(*to, s) {
			d.problem(n, key, "%s is in the list twice", s)
			return
		}
		*to = append(*to, s)
	})
}

package option

import (
	"bytes"
	"encoding/hex"
	"errors"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// example is an option on the wire and what it means.
type example[T codec] struct {
	name string
	wire string // hexadecimal, spaces ignored
	want T
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// testCodec checks examples both ways, and that the parser refuses everything
// that is not exactly the example.
func testCodec[T codec](t *testing.T, parse func([]byte) (T, error), examples []example[T]) {
	t.Helper()
	for _, e := range examples {
		t.Run(e.name, func(t *testing.T) {
			wire := unhex(t, e.wire)
			got, err := parse(wire)
			if err != nil || !reflect.DeepEqual(got, e.want) {
				t.Fatalf("parse %x = %+v, %v, want %+v", wire, got, err, e.want)
			}
			if b := e.want.Append([]byte{1, 1}); !bytes.Equal(b[2:], wire) || b[0] != 1 || b[1] != 1 {
				t.Errorf("append %+v = %x, want 0101%x", e.want, b, wire)
			}
			if n := e.want.Len(); n != len(wire) {
				t.Errorf("len %+v = %d, want %d", e.want, n, len(wire))
			}
			for n := range len(wire) {
				wantRefused(t, parse, wire[:n], ErrTruncated)
			}
			wantRefused(t, parse, append(bytes.Clone(wire), 0), ErrLength)
			wantRefused(t, parse, changed(wire, 0, wire[0]+1), ErrKind)
			wantRefused(t, parse, changed(wire, 2, wire[2]^0xb0), ErrSubtype)
			wantRefused(t, parse, changed(wire, 1, wire[1]-1), ErrLength)
			wantRefused(t, parse, changed(wire, 1, 0), ErrLength)
			wantRefused(t, parse, changed(wire, 1, 0xff), ErrTruncated)
		})
	}
}

func changed(b []byte, i int, v byte) []byte {
	b = bytes.Clone(b)
	b[i] = v
	return b
}

func wantRefused[T codec](t *testing.T, parse func([]byte) (T, error), b []byte, cause error) {
	t.Helper()
	got, err := parse(b)
	if !errors.Is(err, cause) {
		t.Errorf("parse %x = %+v, %v, want %v", b, got, err, cause)
	}
	var zero T
	if !reflect.DeepEqual(got, zero) {
		t.Errorf("parse %x = %+v besides the error, want nothing", b, got)
	}
}

// testRefused checks that the parser refuses each wire form for that cause.
func testRefused[T codec](t *testing.T, parse func([]byte) (T, error), cause error, wires ...string) {
	t.Helper()
	for _, w := range wires {
		wantRefused(t, parse, unhex(t, w), cause)
	}
}

// TestRandomBytesReencode makes options of every subtype and length from
// random bytes: whatever parses must be written back to the same bytes.
func TestRandomBytesReencode(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	parsed := map[[2]int]int{} // by subtype and length
	for range 300 {
		for s := range Subtype(16) {
			for n := headerLen; n <= MaxArea; n++ {
				b := make([]byte, n)
				for i := range b {
					b[i] = uint8(rnd.Uint32())
				}
				b[0], b[1], b[2] = Kind, uint8(n), uint8(s)<<4|b[2]&0x0f
				v := Version(rnd.IntN(2))
				got, err := parseAny(mustNext(t, b), v)
				if err != nil {
					continue
				}
				parsed[[2]int{int(s), n}]++
				if again := got.Append(nil); !bytes.Equal(again, b) || got.Len() != n {
					t.Errorf("%v: parse %x = %+v, append = %x", v, b, got, again)
				}
			}
		}
	}
	wantLengths(t, parsed)
}

// wantLengths checks that every length of the specifications was met, and no
// other.
func wantLengths(t *testing.T, parsed map[[2]int]int) {
	t.Helper()
	want := map[Subtype][]int{
		SubtypeCapable:   {4, 12, 20, 22, 24},
		SubtypeJoin:      {12, 16, 24},
		SubtypeDSS:       {8, 12, 14, 16, 18, 20, 22, 24, 26, 28},
		SubtypeAddAddr:   {8, 10, 16, 18, 20, 22, 28, 30},
		SubtypePrio:      {3, 4},
		SubtypeFail:      {12},
		SubtypeFastClose: {12},
		SubtypeTCPReset:  {4},
	}
	for n := 4; n <= MaxArea; n++ {
		want[SubtypeRemoveAddr] = append(want[SubtypeRemoveAddr], n)
	}
	for s := range Subtype(16) {
		for n := range MaxArea + 1 {
			got := parsed[[2]int{int(s), n}] > 0
			if got != slices.Contains(want[s], n) {
				t.Errorf("%v of %d bytes: parsed = %v", s, n, got)
			}
		}
	}
}

// TestImports keeps the package pure: nothing that does I/O, waits, locks or
// reads a clock.
func TestImports(t *testing.T) {
	allowed := []string{"encoding/binary", "errors", "net/netip", "strconv"}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := file.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range f.Imports {
			if path, _ := strconv.Unquote(imp.Path.Value); !slices.Contains(allowed, path) {
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
}

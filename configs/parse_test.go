package configs

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"empty", "", "f.yaml: is empty"},
		{"only comments", "# a\n# b\n", "f.yaml: is empty"},
		{"tab", "socks:\n\tlisten: x\n", `f.yaml:2:1: found character '\t' that cannot start any token; indent with spaces, not with tabs`},
		{"NUL", "a: b\nc: \x00\n", "f.yaml:2:4: has the control character 0x00"},
		{"not UTF-8", "a: b\nc: \xff\n", "f.yaml:2:4: is not UTF-8 text"},
		{"list", "- a\n- b\n", "f.yaml:1:1: is not a list of `key: value` lines but a list"},
		{"word", "hello\n", "f.yaml:1:1: is not a list of `key: value` lines but text"},
		{"two documents", "a: 1\n---\nb: 2\n", "f.yaml:3:2: a second document is not supported"},
		{"anchor", "a: &x 1\n", "f.yaml:1:4: anchors and aliases are not supported"},
		{"alias", "a: *x\n", "f.yaml:1:4: anchors and aliases are not supported"},
		{"bomb", "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n", "f.yaml:1:4: anchors"},
		{"tag", "a: !!str 1\n", "f.yaml:1:4: tags are not supported"},
		{"merge", "<<: {a: 1}\n", "f.yaml:1:1: merge keys are not supported"},
		{"question mark", "? a\n: b\n", "f.yaml:1:1: keys written with ? are not supported"},
		{"open bracket", "a: [1, 2\nb: 3\n", "f.yaml:2:1: "},
		{"open quote", "a: 'x\n", "f.yaml:1:4: could not find end character of single-quoted text"},
		{"two colons", "a: b: c\n", "f.yaml:1:4: mapping value is not allowed"},
		{"deep", "a: " + strings.Repeat("[", 10000), "f.yaml:1:36: has more than 32 brackets inside each other"},
		{"many keys", strings.Repeat("a: 1\n", maxKeys+2), fmt.Sprintf("f.yaml:%d:2: has more than 8192 keys", maxKeys+1)},
		{"deep list", "a: 1\nb:\n" + strings.Repeat("- ", 60) + "x\n", "f.yaml:3:65: has more than 32 lists or sections inside each other"},
		{"deep sections", deepSections(40), "f.yaml:33:"},
		{"many brackets", strings.Repeat("{", 1000000), "f.yaml:1:65537: has more than 65536 lines and punctuation marks"},
		{"many dashes", "a:\n" + strings.Repeat("- ", 500000), "f.yaml:2:131069: has more than 65536 lines and punctuation marks"},
		{"many commas", "a: [é" + strings.Repeat(",", 1000000), "f.yaml:1:65540: has more than 65536"},
		{"large", strings.Repeat("# comment\n", 110000), "f.yaml: is larger than 1048576 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := parse("f.yaml", []byte(tc.text))
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("parse = %v, want an error that starts with %q", err, tc.want)
			}
		})
	}
}

func deepSections(depth int) string {
	var b strings.Builder
	for i := range depth {
		fmt.Fprintf(&b, "%sa:\n", strings.Repeat(" ", i))
	}
	return b.String()
}

// What a file of the largest size can make of memory is bounded, however it is made up.
func TestParseMemory(t *testing.T) {
	for _, piece := range []string{
		"{", "[", "- ", "[[],", "a: [", "a: {b: ", "- a: ", "? ", ": ", "'", "\"", "'' ", "a:\n", "- a\n", "\n", "# c\n", "|\n", "&a ", "*a ", "!a ", "--- ", "...\n", "x ", "x\n",
	} {
		for _, size := range []int{3 * (maxKeys - 1), maxMarks / 2, maxFileSize} {
			text := []byte("a:\n" + strings.Repeat(piece, size/len(piece)-4))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _ = parse("f.yaml", text) // accepted or not
			runtime.ReadMemStats(&after)
			const most = 400 << 20
			if used := after.TotalAlloc - before.TotalAlloc; used > most {
				t.Errorf("%q, %d bytes of it: %d MiB were allocated, want at most %d", piece, len(text), used>>20, most>>20)
			}
		}
	}
}

func TestParsePlaces(t *testing.T) {
	for _, tc := range []struct{ name, text string }{
		{"unix", "a: 1\nb:\n  - c: x\n    d: y\n"},
		{"windows", "a: 1\r\nb:\r\n  - c: x\r\n    d: y\r\n"},
		{"byte order mark", "\ufeffa: 1\nb:\n  - c: x\n    d: y\n"},
		{"document header", "---\na: 1\nb:\n  - c: x\n    d: y\n"},
	} {
		root, err := parse("f.yaml", []byte(tc.text))
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		d := root.get("b").items[0].get("d")
		want := 4 + strings.Count(tc.text, "---")
		if d.text != "y" || d.line != want || d.col != 8 || root.lastLine() != want {
			t.Errorf("%s: d = %q at %d:%d, last line %d, want y at %d:8, last line %d",
				tc.name, d.text, d.line, d.col, root.lastLine(), want, want)
		}
	}
}

func TestParseAddressesInBrackets(t *testing.T) {
	for _, text := range []string{
		"a: [10.0.0.1:8443, e.example:1]", "{a: [10.0.0.1:8443, e.example:1]}", "{a: ['10.0.0.1:8443', \"e.example:1\"]}",
	} {
		root, err := parse("f.yaml", []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		a := root.get("a").items
		if len(a) != 2 || a[0].text != "10.0.0.1:8443" || a[1].text != "e.example:1" || a[1].kind != kindString {
			t.Errorf("%s: read as %+v %+v, want two addresses", text, a[0], a[1])
		}
	}
	for _, text := range []string{"{a: [{k: v}]}", "{a: [k: v]}", "a:\n  - k: v\n"} {
		root, err := parse("f.yaml", []byte(text))
		if err != nil || root.get("a").items[0].kind != kindMap {
			t.Errorf("%s: parse = %v, want a list of one map", text, err)
		}
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, make([]byte, 10<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, want string }{
		{filepath.Join(dir, "none"), "no such file"},
		{dir, "is not a regular file"},
		{big, "is larger than"},
	} {
		if _, err := LoadClient(tc.name); err == nil || !strings.Contains(err.Error(), tc.want) && os.PathSeparator == '/' {
			t.Errorf("LoadClient(%s) = %v, want %q", tc.name, err, tc.want)
		}
	}
}

func FuzzParseClient(f *testing.F) {
	f.Add([]byte(exampleClient))
	f.Add([]byte("paths:\n  - {name: a, source: 10.0.0.1}\nsocks: {users: {a: b}}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 16<<10 {
			return // large files are a matter of time, not of what can be in them
		}
		c, err := ParseClient("f.yaml", text)
		if err == nil && (len(c.Egress.Address) == 0 || c.Identity == "" || len(c.Socks.Listen) == 0) {
			t.Fatalf("accepted a file without what it needs: %+v", c)
		}
	})
}

func FuzzAddClient(f *testing.F) {
	f.Add([]byte(exampleEgress))
	f.Add([]byte("identity: k\nclients:\n- name: a\n  key: " + exampleKey))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 16<<10 {
			return
		}
		c := ClientKey{Name: "another", Key: Key{7}}
		added, err := AddClient("f.yaml", text, c)
		if err != nil {
			return
		}
		e, err := ParseEgress("f.yaml", added)
		if err != nil || e.Clients[len(e.Clients)-1] != c {
			t.Fatalf("AddClient wrote a file without the client: %v", err)
		}
	})
}

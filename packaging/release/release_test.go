package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestArchivesTellNothing packs the same files twice, in other folders and at other times.
func TestArchivesTellNothing(t *testing.T) {
	for name, pack := range map[string]func(string, []file) error{"a.tar.gz": packTar, "a.zip": packZip} {
		var first []byte
		for turn := range 2 {
			dir := t.TempDir()
			from := filepath.Join(dir, "x")
			if err := os.WriteFile(from, bytes.Repeat([]byte("mpsocks"), 5000), 0o600); err != nil {
				t.Fatal(err)
			}
			when := time.Unix(int64(1e9*(turn+1)), 0)
			if err := os.Chtimes(from, when, when); err != nil {
				t.Fatal(err)
			}
			to := filepath.Join(dir, name)
			if err := pack(to, []file{{"d/mpsocks", from, 0o755}, {"d/LICENSE", from, 0o644}}); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(to)
			if err != nil {
				t.Fatal(err)
			}
			if turn == 0 {
				first = got
				continue
			}
			if !bytes.Equal(first, got) {
				t.Errorf("%s packed twice is not the same", name)
			}
		}
		if got, want := contents(t, name, first), []string{"d/mpsocks 35000 -rwxr-xr-x", "d/LICENSE 35000 -rw-r--r--"}; !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", name, got, want)
		}
	}
}

func contents(t *testing.T, name string, text []byte) (list []string) {
	t.Helper()
	if strings.HasSuffix(name, ".zip") {
		r, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.File {
			in, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, line(f.Name, b, f.Mode()))
		}
		return list
	}
	zr, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(zr); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, line(h.Name, b, h.FileInfo().Mode()))
	}
}

func line(name string, text []byte, mode os.FileMode) string {
	n := json.Number(mustJSON(len(text)))
	return name + " " + string(n) + " " + mode.String()
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// TestBOM lists what is in this very test.
func TestBOM(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "x.cdx.json")
	if err := writeBOM(to, self, "v1.2.3"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	var b bom
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	if m := b.Metadata.Component; b.Format != "CycloneDX" || m.PURL != "pkg:golang/github.com/mpsocks/mpsocks@v1.2.3" || len(m.Hashes) != 1 || len(m.Hashes[0].Content) != 64 {
		t.Errorf("the list begins with %+v", b.Metadata)
	}
	if len(b.Components) == 0 || !strings.HasPrefix(b.Components[0].PURL, "pkg:golang/std@1.") {
		t.Errorf("components %+v, want the standard library first", b.Components)
	}
}

func TestSums(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"b", "a"} {
		if err := os.WriteFile(filepath.Join(dir, n), []byte("abc"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeSums(dir, []string{"b", "a"}); err != nil {
		t.Fatal(err)
	}
	const sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS")); string(got) != sum+"  a\n"+sum+"  b\n" {
		t.Errorf("SHA256SUMS = %q, %v", got, err)
	}
}

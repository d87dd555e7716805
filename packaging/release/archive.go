package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// file is one that goes into an archive.
type file struct {
	name string // in the archive
	from string
	mode fs.FileMode
}

func packTar(to string, files []file) error {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	zw, _ := gzip.NewWriterLevel(out, gzip.BestCompression) // the level is one
	w := tar.NewWriter(zw)
	for _, f := range files {
		text, err := os.ReadFile(f.from)
		if err != nil {
			return errors.Join(err, out.Close())
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Size: int64(len(text)), Mode: int64(f.mode), ModTime: epoch, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return errors.Join(err, out.Close())
		}
		if _, err := w.Write(text); err != nil {
			return errors.Join(err, out.Close())
		}
	}
	return errors.Join(w.Close(), zw.Close(), out.Close())
}

func packZip(to string, files []file) error {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	w := zip.NewWriter(out)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: epoch}
		h.SetMode(f.mode)
		if err := copyInto(w, h, f.from); err != nil {
			return errors.Join(err, out.Close())
		}
	}
	return errors.Join(w.Close(), out.Close())
}

func copyInto(w *zip.Writer, h *zip.FileHeader, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	part, err := w.CreateHeader(h)
	if err != nil {
		return err
	}
	_, err = io.Copy(part, in)
	return err
}

// writeSums writes SHA256SUMS, as sha256sum -c reads it.
func writeSums(dir string, names []string) error {
	names = slices.Sorted(slices.Values(names))
	var b strings.Builder
	for _, n := range names {
		text, err := os.ReadFile(filepath.Join(dir, n))
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(text), n)
	}
	return os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(b.String()), 0o644)
}

package upstream

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestPinFile(t *testing.T) {
	dir, key := t.TempDir(), newIdentity(t).Public()
	file := filepath.Join(dir, "egress.pin")
	if got, err := readPin(file); err != nil || !got.IsZero() {
		t.Errorf("no file: %v, %v", got, err)
	}
	p := newPin(PublicKey{})
	if err := p.load(file); err != nil || p.isKnown() {
		t.Fatalf("load: %v, known %v", err, p.isKnown())
	}
	if err := p.check(key); !errors.Is(err, ErrNoPin) {
		t.Errorf("before: %v, want %v", err, ErrNoPin)
	}
	if err := p.check(PublicKey{}); !errors.Is(err, ErrNoPin) {
		t.Errorf("zeros: %v, want %v", err, ErrNoPin)
	}
	if err := p.keep(key, []string{"cable", "phone"}); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(file)
	if err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v, want mode 0600", st.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("in the folder: %v, %v, want the file alone", left, err)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), "cable, phone") || !strings.Contains(string(text), "\n"+key.String()+"\n") {
		t.Errorf("the file has %q, %v", text, err)
	}
	again := newPin(PublicKey{})
	if err := again.load(file); err != nil || again.check(key) != nil {
		t.Errorf("read again: %v, %v", err, again.check(key))
	}
	if err := again.check(newIdentity(t).Public()); !errors.Is(err, ErrWrongEgressKey) || !strings.Contains(err.Error(), "remove that file") {
		t.Errorf("another key: %v, want what to do", err)
	}
	// Another program was quicker, and met somebody else.
	late := newPin(PublicKey{})
	late.file = file
	if err := late.keep(newIdentity(t).Public(), []string{"a", "b"}); err == nil || late.isKnown() {
		t.Errorf("keep over another key: %v, known %v", err, late.isKnown())
	}
	wantPin(t, file, key)
}

func TestPinFileRefused(t *testing.T) {
	dir, key := t.TempDir(), newIdentity(t).Public().String()
	for name, text := range map[string]string{
		"empty": "", "comment": "# " + key + "\n", "garbage": "abc\n", "two": key + "\n" + key + "\n", "zeros": PublicKey{}.String() + "\n", "long": strings.Repeat("#\n", maxKeyFile),
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readPin(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v, want an error with the file's name", name, err)
		}
	}
	if runtime.GOOS != "windows" {
		file := filepath.Join(dir, "open")
		if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, 0o620); err != nil {
			t.Fatal(err)
		}
		if _, err := readPin(file); err == nil || !strings.Contains(err.Error(), "0620") {
			t.Errorf("a file that others may write: %v", err)
		}
	}
	if _, err := NewClient(ClientConfig{Egress: []string{"127.0.0.1:1"}, Identity: newIdentity(t), PinFile: filepath.Join(dir, "garbage")}); err == nil {
		t.Error("a client takes a pin that is none")
	}
	if _, err := NewClient(ClientConfig{Egress: []string{"127.0.0.1:1"}, Identity: newIdentity(t), EgressKey: newIdentity(t).Public(), PinFile: filepath.Join(dir, "none")}); err == nil {
		t.Error("a client takes a key and learns one")
	}
}

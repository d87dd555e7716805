package upstream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestPublicKeyText(t *testing.T) {
	key := newIdentity(t).Public()
	s := key.String()
	if len(s) != 43 || strings.ContainsAny(s, "+/=") {
		t.Errorf("String() = %q, want 43 characters of URL-safe base64", s)
	}
	back, err := ParsePublicKey(s)
	if err != nil || back != key {
		t.Errorf("ParsePublicKey(%q) = %v, %v", s, back, err)
	}
	for name, bad := range map[string]string{
		"empty":           "",
		"short":           s[:42],
		"long":            s + "A",
		"padded":          s + "=",
		"space":           " " + s[1:],
		"newline":         s[:42] + "\n",
		"other alphabet":  strings.Repeat("+", 43),
		"spare bits used": strings.Repeat("A", 42) + "B",
	} {
		if _, err := ParsePublicKey(bad); err == nil {
			t.Errorf("ParsePublicKey of %s text %q: no error", name, bad)
		}
	}
}

func TestIdentitySeed(t *testing.T) {
	id := newIdentity(t)
	again := IdentityFromSeed(id.Seed())
	if again.Public() != id.Public() {
		t.Errorf("public key from the seed = %v, want %v", again.Public(), id.Public())
	}
	if !IdentityFromSeed([32]byte{}).IsZero() || (Identity{}).Public() != (PublicKey{}) || (Identity{}).Seed() != [32]byte{} {
		t.Error("the zero identity has a key")
	}
}

func TestIdentityNeverPrintsItself(t *testing.T) {
	id := newIdentity(t)
	seed := id.Seed()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+" "+verb+"\n", id, &id)
		fmt.Fprintf(&out, verb+"\n", struct{ Identity Identity }{id})
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "id", id)
	if b, err := json.Marshal(id); err == nil {
		t.Errorf("json.Marshal of an identity = %s, want an error", b)
	}
	for _, secret := range []string{
		keyEncoding.EncodeToString(seed[:]),
		fmt.Sprintf("%x", seed[:]),
		strings.Trim(fmt.Sprint(seed[:]), "[]"),
	} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("printed identity holds its secret:\n%s", out.String())
		}
	}
}

func TestParseIdentity(t *testing.T) {
	id := newIdentity(t)
	text := string(id.text())
	for name, good := range map[string]string{
		"as written":     text,
		"CRLF":           strings.ReplaceAll(text, "\n", "\r\n"),
		"no last line":   strings.TrimSuffix(text, "\n"),
		"no comment":     strings.SplitAfter(text, "\n")[1],
		"spaces, blanks": "\n  " + strings.SplitAfter(text, "\n")[1] + "\n\n# end\n",
	} {
		if got, err := parseIdentity([]byte(good)); err != nil || got.Public() != id.Public() {
			t.Errorf("parseIdentity of text %s: %v, %v", name, got, err)
		}
	}
	line := strings.SplitAfter(text, "\n")[1]
	for name, bad := range map[string]string{
		"empty":        "",
		"only comment": "# nothing\n",
		"two keys":     line + line,
		"short":        line[:20],
		"zeros":        strings.Repeat("A", 43),
		"binary":       string(make([]byte, 32)),
		"other text":   "-----BEGIN OPENSSH PRIVATE KEY-----",
	} {
		_, err := parseIdentity([]byte(bad))
		if err == nil {
			t.Errorf("parseIdentity of text %s: no error", name)
			continue
		}
		if len(bad) > 10 && strings.Contains(err.Error(), strings.TrimSpace(bad)) {
			t.Errorf("parseIdentity of text %s quotes it: %v", name, err)
		}
	}
}

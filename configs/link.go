package configs

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// LinkScheme is what a join link starts with.
const LinkScheme = "mpsocks://"

// Link is all that a client needs to use an egress. It holds the client's
// private key: whoever has the link is that client. It is made for one
// machine and should travel like a password.
type Link struct {
	Client    string // the name the egress knows the client by
	Seed      Key    // SECRET: the seed of the client's private key
	EgressKey Key
	Egress    []string // HOST:PORT, in the order they are to be tried
}

const (
	linkVersion = 1
	// maxLinkText is several times what the most addresses and longest names need.
	maxLinkText = 16 << 10
	// maxLinkAddresses bounds what one client dials at a time.
	maxLinkAddresses = 16
	// linkSumSize is enough against mistakes of copying. It is not a defence:
	// who can change the link also knows the key in it.
	linkSumSize = 4
)

// String names the link without the secret in it, for logs and mistakes.
func (l Link) String() string { return LinkScheme + "redacted-for-" + l.Client }

// GoString is String: %#v must not tell more.
func (l Link) GoString() string { return l.String() }

// Encode writes the link as letters, digits, dash and underscore behind the
// scheme, so that no shell, chat or mail program changes it. The text is a secret.
func (l Link) Encode() string {
	b := []byte{linkVersion}
	b = appendText(b, l.Client)
	b = append(b, l.Seed[:]...)
	b = append(b, l.EgressKey[:]...)
	b = append(b, byte(len(l.Egress)))
	for _, a := range l.Egress {
		b = appendText(b, a)
	}
	sum := sha256.Sum256(b)
	return LinkScheme + base64.RawURLEncoding.EncodeToString(append(b, sum[:linkSumSize]...))
}

func appendText(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }

// Check says what is wrong with l. A link that passes survives Encode and ParseLink.
func (l Link) Check() error {
	if err := CheckName(l.Client); err != nil {
		return err
	}
	if len(l.Egress) == 0 || len(l.Egress) > maxLinkAddresses {
		return fmt.Errorf("a link has 1 to %d addresses, not %d", maxLinkAddresses, len(l.Egress))
	}
	for _, a := range l.Egress {
		if len(a) > 255 {
			return fmt.Errorf("address %q is longer than 255 characters", a)
		}
		if err := CheckAddress(a); err != nil {
			return err
		}
	}
	return nil
}

var (
	errLinkScheme = errors.New("join link: does not start with " + LinkScheme)
	errLinkCut    = errors.New("join link: is cut off or was changed on its way; copy all of it again")
)

// ParseLink reads what Encode writes. White space, which mail programs put
// into long words, does not matter. Errors never quote the link.
func ParseLink(s string) (Link, error) {
	if len(s) > maxLinkText {
		return Link{}, errLinkCut
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
	body, ok := strings.CutPrefix(s, LinkScheme)
	if !ok {
		return Link{}, errLinkScheme
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil || len(b) < 1+linkSumSize {
		return Link{}, errLinkCut
	}
	b, sent := b[:len(b)-linkSumSize], b[len(b)-linkSumSize:]
	sum := sha256.Sum256(b)
	if !bytes.Equal(sum[:linkSumSize], sent) {
		return Link{}, errLinkCut
	}
	if b[0] != linkVersion {
		return Link{}, fmt.Errorf("join link: has version %d, and this program knows version %d; update the older of the two sides", b[0], linkVersion)
	}
	return decodeLink(b[1:])
}

// decodeLink reads the body of a link whose sum is right. It never trusts a length.
func decodeLink(b []byte) (l Link, err error) {
	r := linkReader{rest: b}
	l.Client = string(r.text())
	copy(l.Seed[:], r.take(len(l.Seed)))
	copy(l.EgressKey[:], r.take(len(l.EgressKey)))
	if n := r.take(1); !r.short {
		for range n[0] {
			l.Egress = append(l.Egress, string(r.text()))
		}
	}
	if r.short || len(r.rest) > 0 {
		return Link{}, errLinkCut
	}
	if err := l.Check(); err != nil {
		return Link{}, fmt.Errorf("join link: %w", err)
	}
	return l, nil
}

// linkReader cuts pieces off the body; short says that there was too little.
type linkReader struct {
	rest  []byte
	short bool
}

func (r *linkReader) take(n int) []byte {
	if len(r.rest) < n {
		r.short, r.rest = true, nil
		return nil
	}
	piece := r.rest[:n]
	r.rest = r.rest[n:]
	return piece
}

func (r *linkReader) text() []byte {
	n := r.take(1)
	if r.short {
		return nil
	}
	return r.take(int(n[0]))
}

package configs

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func testLink() Link {
	return Link{
		Client: "laptop", Seed: Key{1, 2, 3}, EgressKey: Key{31: 9},
		Egress: []string{"egress.example.net:8443", "[2001:db8::1]:443"},
	}
}

func TestLinkRoundTrip(t *testing.T) {
	long := Link{Client: strings.Repeat("n", maxName), Seed: Key{5}, EgressKey: Key{6}}
	for i := range maxLinkAddresses {
		long.Egress = append(long.Egress, fmt.Sprintf("%s.example:%d", strings.Repeat("a", 60), i+1))
	}
	for _, l := range []Link{testLink(), long} {
		if err := l.Check(); err != nil {
			t.Fatalf("Check() = %v, want nil", err)
		}
		s := l.Encode()
		got, err := ParseLink(s)
		if err != nil || !reflect.DeepEqual(got, l) {
			t.Errorf("ParseLink(Encode()) = %#v, %v, want %#v", got, err, l)
		}
		if strings.Trim(strings.TrimPrefix(s, LinkScheme), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Errorf("Encode() = %q has characters that a shell may change", s)
		}
	}
}

func TestLinkSurvivesMail(t *testing.T) {
	s := testLink().Encode()
	got, err := ParseLink("  " + s[:40] + "\r\n " + s[40:] + "\n")
	if err != nil || got.Client != "laptop" {
		t.Fatalf("ParseLink(with white space) = %v, %v, want the link", got, err)
	}
}

func TestLinkMistakes(t *testing.T) {
	s := testLink().Encode()
	for i := range len(s) {
		if _, err := ParseLink(s[:i]); err == nil {
			t.Fatalf("ParseLink(first %d of %d characters) = nil error, want one", i, len(s))
		}
		changed := []byte(s)
		if changed[i]++; changed[i] == ':' {
			changed[i]++
		}
		if _, err := ParseLink(string(changed)); err == nil {
			t.Fatalf("ParseLink(character %d changed) = nil error, want one", i)
		}
	}
	for _, bad := range []string{"", "https://example.net/", "mpsocks:/", LinkScheme, s + "AAAA", strings.Repeat(s, 200)} {
		_, err := ParseLink(bad)
		if err == nil {
			t.Errorf("ParseLink(%.40q) = nil error, want one", bad)
			continue
		}
		if strings.Contains(err.Error(), s[len(LinkScheme):len(LinkScheme)+30]) {
			t.Errorf("ParseLink(%.40q) quotes the link: %v", bad, err)
		}
	}
}

func TestLinkCheck(t *testing.T) {
	for _, change := range []func(*Link){
		func(l *Link) { l.Client = "" },
		func(l *Link) { l.Client = "two words" },
		func(l *Link) { l.Egress = nil },
		func(l *Link) { l.Egress = []string{"no-port"} },
		func(l *Link) { l.Egress = []string{":8443"} },
		func(l *Link) { l.Egress = slices.Repeat([]string{"a.example:1"}, maxLinkAddresses+1) },
	} {
		l := testLink()
		change(&l)
		if err := l.Check(); err == nil {
			t.Errorf("Check() of %q to %q = nil, want an error", l.Client, l.Egress)
		}
		if _, err := ParseLink(l.Encode()); err == nil {
			t.Errorf("ParseLink of %q to %q = nil error, want one", l.Client, l.Egress)
		}
	}
}

func TestLinkIsNotPrinted(t *testing.T) {
	l := testLink()
	secret := l.Encode()[len(LinkScheme):]
	for _, s := range []string{fmt.Sprint(l), fmt.Sprintf("%v %+v %#v %s", l, l, l, l)} {
		if strings.Contains(s, secret[:20]) || strings.Contains(s, l.Seed.String()) || strings.Contains(s, "[1 2 3") {
			t.Errorf("formatting a link prints %q, which has the secret in it", s)
		}
	}
}

func FuzzParseLink(f *testing.F) {
	f.Add(testLink().Encode())
	f.Add(LinkScheme + "AQZsYXB0b3A")
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseLink(s)
		if err != nil {
			return
		}
		if err := l.Check(); err != nil {
			t.Fatalf("ParseLink accepted what Check refuses: %v", err)
		}
		again, err := ParseLink(l.Encode())
		if err != nil || !reflect.DeepEqual(again, l) {
			t.Fatalf("ParseLink(Encode()) = %v, %v, want %v", again, err, l)
		}
	})
}

// FuzzDecodeLink gets behind the checksum, which random text never passes.
func FuzzDecodeLink(f *testing.F) {
	f.Add([]byte("\x06laptop"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := decodeLink(b)
		if err == nil && l.Check() != nil {
			t.Fatalf("decodeLink accepted what Check refuses: %v", l.Check())
		}
	})
}

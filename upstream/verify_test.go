package upstream

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func verifyMessages() []verifyMessage {
	id, hash := contactID{1, 2, 15: 3}, verifyHash{4, 5, 31: 6}
	return []verifyMessage{
		{kind: verifyHold, id: id},
		{kind: verifyCheck, id: id, hash: hash},
		{kind: verifyHeld},
		{kind: verifySame, hash: hash},
		{kind: verifyDiffers},
		{kind: verifyUnknown},
	}
}

func TestVerifyMessages(t *testing.T) {
	for _, m := range verifyMessages() {
		var b bytes.Buffer
		if err := m.send(&b); err != nil {
			t.Fatal(err)
		}
		whole := b.Bytes()
		rest := bytes.NewReader(append(bytes.Clone(whole), 9))
		if got, err := readVerify(rest); err != nil || got != m || rest.Len() != 1 {
			t.Errorf("%+v came back as %+v, %v, with %d octets behind it", m, got, err, rest.Len())
		}
		for n := range whole {
			want := io.ErrUnexpectedEOF
			if n == 0 {
				want = io.EOF
			}
			if _, err := readVerify(bytes.NewReader(whole[:n])); !errors.Is(err, want) {
				t.Errorf("%d octets of %+v: %v, want %v", n, m, err, want)
			}
		}
	}
	for _, kind := range []byte{0, 7, 255} {
		if _, err := readVerify(bytes.NewReader([]byte{kind, 0, 0})); !errors.Is(err, errVerifyKind) {
			t.Errorf("kind %d: %v, want %v", kind, err, errVerifyKind)
		}
	}
}

// Whatever is otherwise on one side, its hash is another one; and what the one side says is never what the other has to.
func TestVerifyHash(t *testing.T) {
	base := seen{id: contactID{1}, client: PublicKey{2}, egress: PublicKey{3}, first: bytes.Repeat([]byte{4}, exporterLength), second: bytes.Repeat([]byte{5}, exporterLength)}
	hashes := map[verifyHash]string{}
	add := func(name string, h verifyHash) {
		if other, ok := hashes[h]; ok {
			t.Errorf("%s and %s have the same hash", name, other)
		}
		hashes[h] = name
	}
	add("client", base.hash(clientSaw))
	add("egress", base.hash(egressSaw))
	for name, change := range map[string]func(*seen){
		"attempt":    func(s *seen) { s.id[15]++ },
		"client key": func(s *seen) { s.client[31]++ },
		"egress key": func(s *seen) { s.egress[31]++ },
		"first":      func(s *seen) { s.first = bytes.Repeat([]byte{6}, exporterLength) },
		"second":     func(s *seen) { s.second = bytes.Repeat([]byte{6}, exporterLength) },
		"swapped":    func(s *seen) { s.first, s.second = s.second, s.first },
	} {
		s := base
		change(&s)
		add(name, s.hash(clientSaw))
		add(name+" at the egress", s.hash(egressSaw))
	}
	same := base
	if base.hash(clientSaw) != same.hash(clientSaw) {
		t.Error("two who have seen the same have different hashes")
	}
}

func FuzzReadVerify(f *testing.F) {
	for _, m := range verifyMessages() {
		var b bytes.Buffer
		_ = m.send(&b)
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r := bytes.NewReader(text)
		m, err := readVerify(r)
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := m.send(&b); err != nil || !bytes.Equal(b.Bytes(), text[:len(text)-r.Len()]) {
			t.Errorf("%x was read as %+v, which is %x", text, m, b.Bytes())
		}
	})
}

package key

import (
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/option"
)

// CRC-16 with polynomial 0x1021 from 0xffff over "12345678" is 0xa12b.
func TestFastHash(t *testing.T) {
	if got, want := Key(0x3132333435363738).FastHash(), uint16(0xa12b&0x3ff); got != want {
		t.Errorf("fast hash = %#x, want %#x", got, want)
	}
}

// What one side proves is what the other expects, and nothing else is.
func TestProofs(t *testing.T) {
	for _, v := range []option.Version{option.V0, option.V1} {
		a, b := sides(v, []byte("channel"))
		transcript := [32]byte{1, 2, 3}
		m := Merge{Other: 7, Binding: []byte("other channel"), Transcript: transcript, AddrID: 3}
		if a.LocalProof(transcript) != b.RemoteProof(transcript) || b.LocalProof(transcript) != a.RemoteProof(transcript) {
			t.Errorf("version %v: the sides' proofs differ", v)
		}
		if a.LocalMergeProof(m) != b.RemoteMergeProof(m) {
			t.Errorf("version %v: the sides' proofs of a merge differ", v)
		}
		seen := map[Proof]string{a.LocalProof(transcript): "proof", b.LocalProof(transcript): "the other side's proof"}
		another := func(name string, p Proof) {
			if old, ok := seen[p]; ok {
				t.Errorf("version %v: %s is the same as %s", v, name, old)
			}
			seen[p] = name
		}
		another("another transcript", a.LocalProof([32]byte{1, 2, 4}))
		another("a merge", a.LocalMergeProof(m))
		for name, change := range map[string]func(*Merge){
			"another key B'":     func(m *Merge) { m.Other++ },
			"another channel":    func(m *Merge) { m.Binding = []byte("x") },
			"another handshake":  func(m *Merge) { m.Transcript[0]++ },
			"another address ID": func(m *Merge) { m.AddrID++ },
			"backup":             func(m *Merge) { m.Backup = true },
		} {
			x := m
			change(&x)
			another("a merge with "+name, a.LocalMergeProof(x))
		}
		c := a
		c.Local++
		another("a merge with another key A", c.LocalMergeProof(m))
	}
}

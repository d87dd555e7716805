package key

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/option"
)

// script returns a random source that plays back values, then repeats the last.
func script(values ...uint64) (func() uint64, *int) {
	calls := new(int)
	return func() uint64 {
		*calls++
		return values[min(*calls, len(values))-1]
	}, calls
}

func TestTokensAreUnique(t *testing.T) {
	random, calls := script(1, 1, 1, 2)
	table := NewTokens(random)
	k1, t1, err := table.Allocate(option.V1)
	if err != nil || k1 != 1 || t1 != k1.Token(option.V1) {
		t.Fatalf("first = %#x, %#x, %v", uint64(k1), t1, err)
	}
	k2, t2, err := table.Allocate(option.V1)
	if err != nil || k2 != 2 || t2 != k2.Token(option.V1) || *calls != 4 {
		t.Fatalf("second = %#x, %#x, %v after %d calls, want the first key with a free token", uint64(k2), t2, err, *calls)
	}
	if !table.Live(t1) || !table.Live(t2) || table.Live(t1+t2) || table.Len() != 2 {
		t.Errorf("live: %v %v, %d in all, want both", table.Live(t1), table.Live(t2), table.Len())
	}
}

func TestTokensGiveUp(t *testing.T) {
	random, calls := script(1)
	table := NewTokens(random)
	_, token, err := table.Allocate(option.V1)
	if err != nil {
		t.Fatal(err)
	}
	*calls = 0
	if k, tok, err := table.Allocate(option.V1); !errors.Is(err, ErrNoToken) || k != 0 || tok != 0 || *calls != maxTries {
		t.Errorf("allocate = %#x, %#x, %v after %d calls, want ErrNoToken after %d", uint64(k), tok, err, *calls, maxTries)
	}
	if table.Len() != 1 {
		t.Errorf("%d live tokens after a refusal, want 1", table.Len())
	}
	table.Release(token)
	table.Release(token)
	if table.Live(token) || table.Len() != 0 {
		t.Error("token is live after its release")
	}
	if _, again, err := table.Allocate(option.V1); err != nil || again != token {
		t.Errorf("allocate after release = %#x, %v, want %#x", again, err, token)
	}
}

// The same key has another token in version 0, so it may be handed out there.
func TestTokensOfVersions(t *testing.T) {
	random, _ := script(uint64(keyA))
	table := NewTokens(random)
	_, t1, err1 := table.Allocate(option.V1)
	_, t0, err0 := table.Allocate(option.V0)
	if err1 != nil || err0 != nil || t1 != 0x55c53f5d || t0 != 0x0ca2eadb {
		t.Errorf("tokens = %#x, %v and %#x, %v", t1, err1, t0, err0)
	}
}

// 100,000 sessions: by chance some tokens would be the same (69 % for at least two), and none are.
func TestTokensOfManySessions(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	table := NewTokens(rng.Uint64)
	tokens, keys := make(map[Token]bool), make(map[Key]bool)
	for range 100_000 {
		k, token, err := table.Allocate(option.V1)
		if err != nil {
			t.Fatal(err)
		}
		if tokens[token] || keys[k] {
			t.Fatalf("session %d has a token or a key that another has", len(keys)+1)
		}
		tokens[token], keys[k] = true, true
	}
	if table.Len() != 100_000 {
		t.Errorf("%d live tokens, want 100000", table.Len())
	}
}

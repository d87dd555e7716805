package socks

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func mustHash(t testing.TB, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

func TestAccounts(t *testing.T) {
	long := strings.Repeat("p", 255)
	a, err := newAccounts(map[string]string{
		"plain": "plain:secret", "hash": mustHash(t, "geheim"), "empty": "plain:", "long": "plain:" + long, "odd": "plain:\x00\xff",
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, password string
		ok             bool
	}{
		{"plain", "secret", true},
		{"plain", "Secret", false},
		{"plain", "", false},
		{"plain", "plain:secret", false},
		{"plain", "secret\x00", false},
		{"hash", "geheim", true},
		{"hash", "geheim", true},
		{"hash", "geheim2", false},
		{"hash", "", false},
		{"empty", "", true},
		{"empty", "x", false},
		{"long", long, true},
		{"long", long[1:], false},
		{"odd", "\x00\xff", true},
		{"odd", "\x00", false},
		{"nobody", "", false},
		{"nobody", "secret", false},
		{"nobody", "geheim", false},
		{"", "", false},
	}
	for i, tt := range tests {
		source := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		err := a.verify(t.Context(), source, tt.name, tt.password)
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, errAuth) {
			t.Errorf("%q, %q: %v, want ok %v", tt.name, tt.password, err, tt.ok)
		}
		if err != nil && tt.password != "" && strings.Contains(err.Error(), tt.password) {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}

// A hash is computed once for a password that fits, and always for one that does not.
func TestProvenPasswords(t *testing.T) {
	a, err := newAccounts(map[string]string{"u": mustHash(t, "right")})
	if err != nil {
		t.Fatal(err)
	}
	if !a.fits("u", "right") {
		t.Fatal("the right password does not fit")
	}
	a.users["u"] = credential{hash: []byte(mustHash(t, "changed"))} // a hash that is asked would say no
	if !a.fits("u", "right") {
		t.Error("the hash is computed again for a password that has fitted")
	}
	if a.fits("u", "wrong") || a.fits("v", "right") {
		t.Error("what is proven for one is proven for another")
	}
}

func TestBadUsers(t *testing.T) {
	for _, users := range []map[string]string{
		{"": "plain:x"},
		{strings.Repeat("n", 256): "plain:x"},
		{"u": "plain:" + strings.Repeat("p", 256)},
		{"u": "topsecret"},
		{"u": ""},
		{"u": "$2a$10$short"},
		{"u": "$2a$15$" + strings.Repeat("a", 53)},
	} {
		_, err := newAccounts(users)
		if err == nil {
			t.Errorf("%v is accepted", users)
		} else if strings.Contains(err.Error(), "topsecret") {
			t.Errorf("the error tells the entry: %v", err)
		}
	}
}

func TestWrongPasswordsGetSlower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := newAccounts(map[string]string{"u": "plain:p"})
		if err != nil {
			t.Fatal(err)
		}
		try := func(password string) (time.Duration, error) {
			start := time.Now()
			err := a.verify(t.Context(), guesser, "u", password)
			return time.Since(start), err
		}
		for i, want := range []time.Duration{0, 0, 0, 0, 0, 1, 2, 4, 8} {
			if took, err := try(fmt.Sprint("wrong", i)); took != want*time.Second || err == nil {
				t.Errorf("attempt %d took %v, %v; want %v", i, took, err, want*time.Second)
			}
		}
		if took, err := try("p"); took != 0 || !errors.Is(err, errAuth) {
			t.Errorf("an attempt in the worst time took %v, %v; want a refusal at once", took, err)
		}
		time.Sleep(maxPenalty)
		if took, err := try("p"); took != 0 || err != nil {
			t.Errorf("the right password afterwards took %v, %v", took, err)
		}
		if took, err := try("wrong"); took != 0 || err == nil {
			t.Errorf("after a success an attempt took %v, %v", took, err)
		}
	})
}

// A program that tries one wrong password for ever does not shut out others on the same machine, for the same user.
func TestOneWrongPasswordIsOneGuess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := newAccounts(map[string]string{"u": mustHash(t, "right")})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for range 1000 {
			if err := a.verify(t.Context(), guesser, "u", "old"); !errors.Is(err, errAuth) {
				t.Fatalf("verify = %v", err)
			}
		}
		if err := a.verify(t.Context(), guesser, "u", "right"); err != nil || time.Since(start) != 0 {
			t.Errorf("the right password: %v after %v, want success at once", err, time.Since(start))
		}
	})
}

// Attempts that are refused unseen do not make a penalty any longer.
func TestRefusedAttemptsDoNotProlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := newAccounts(map[string]string{"u": "plain:p"})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 12 {
			time.Sleep(maxPenalty)
			_ = a.verify(t.Context(), guesser, "u", fmt.Sprint("guess", i))
		}
		const impatient = 20 // one a second, until the rest may be waited for
		for i := range impatient {
			if err := a.verify(t.Context(), guesser, "u", fmt.Sprint("impatient", i)); !errors.Is(err, errAuth) {
				t.Errorf("an attempt in the worst time: %v", err)
			}
			time.Sleep(time.Second)
		}
		start := time.Now()
		if err := a.verify(t.Context(), guesser, "u", "p"); err != nil || time.Since(start) != maxPenalty-impatient*time.Second {
			t.Errorf("the right password: %v after %v, want success after the rest of the penalty", err, time.Since(start))
		}
	})
}

func TestParallelGuessesAreNoCheaper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := newAccounts(map[string]string{"u": "plain:p"})
		if err != nil {
			t.Fatal(err)
		}
		const guesses = 50
		start := time.Now()
		at := make(chan time.Duration, guesses)
		for i := range guesses {
			go func() {
				_ = a.verify(t.Context(), guesser, "u", fmt.Sprint("wrong", i))
				at <- time.Since(start)
			}()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		checked := 0
		for range guesses {
			if d := <-at; d > 0 {
				checked++
			}
		}
		// 5 are free, a few wait, all others are refused unseen.
		if checked > 10 {
			t.Errorf("%d of %d guesses made at once were checked later on", checked, guesses)
		}
	})
}

func TestVerifyEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := newAccounts(map[string]string{"u": "plain:p"})
		if err != nil {
			t.Fatal(err)
		}
		for n := range freeFailures + 3 {
			a.penalties.failed(&guess{source: guesser, name: a.digest("u"), both: digest{byte(n)}}, time.Now())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.verify(ctx, guesser, "u", "p"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("verify = %v, want the deadline", err)
		}
		a.turn <- struct{}{} // somebody else's
		if err := a.verify(ctx, guesser, "u", "p"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("verify = %v, want the deadline", err)
		}
	})
}

// A flood of guesses from everywhere has only so many hashes computed, and shuts out nobody whose password has been right before.
func TestFloodOfGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := newAccounts(map[string]string{"u": mustHash(t, "right")})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.verify(t.Context(), guesser, "u", "right"); err != nil {
			t.Fatal(err)
		}
		const guesses, lasts = 200, 10 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), lasts)
		defer cancel()
		looked := make(chan bool, guesses)
		for i := range guesses {
			go func() {
				err := a.verify(ctx, netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), "u", "wrong")
				looked <- errors.Is(err, errAuth)
			}()
		}
		synctest.Wait()
		start := time.Now()
		if err := a.verify(t.Context(), guesser, "u", "right"); err != nil || time.Since(start) != 0 {
			t.Errorf("a proven password in the flood: %v after %v, want success at once", err, time.Since(start))
		}
		n := 0
		for range guesses {
			if <-looked {
				n++
			}
		}
		if limit := hashBurst + hashRate*int(lasts/time.Second); n == 0 || n > limit {
			t.Errorf("%d guesses were looked at, want some and at most %d", n, limit)
		}
		if len(a.queued) > 0 {
			t.Errorf("%d sources are left in the queue", len(a.queued))
		}
	})
}

// Of guesses that one source makes at once no more than one is compared with a proven password before any of them counts.
func TestParallelGuessesAtProven(t *testing.T) {
	a, err := newAccounts(map[string]string{"u": mustHash(t, "right")})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.verify(t.Context(), guesser, "u", "right"); err != nil {
		t.Fatal(err)
	}
	g := &guess{source: guesser, name: a.digest("u")}
	if a.enter(g, "u", "wrong") {
		t.Fatal("a wrong password is proven")
	}
	if a.enter(g, "u", "right") {
		t.Error("a second guess of the source is looked at while the first is in the queue")
	}
	a.leave(g)
	a.leave(g)
	if !a.enter(g, "u", "right") {
		t.Error("a proven password is not looked at when the queue is empty")
	}
	for n := range freeFailures {
		a.penalties.failed(&guess{source: guesser, name: g.name, both: digest{byte(n)}}, time.Now())
	}
	if a.enter(g, "u", "right") {
		t.Error("a source with a penalty is told whether a password is proven")
	}
	a.leave(g)
}

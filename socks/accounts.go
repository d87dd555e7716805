package socks

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/time/rate"
)

// accounts checks user names and passwords. One check at a time is made, with the
// penalty of its source known, so that guesses made in parallel are no cheaper.
//
// A hash is slow by design, and whoever may connect can have one computed. All
// sources together get hashRate of them, so that a flood of guesses takes a part of
// one processor at most; passwords that have been right before do not queue behind it.
type accounts struct {
	key     [sha256.Size]byte // of the digests, so that they cannot be precomputed
	users   map[string]credential
	unknown credential // takes the place of a user that does not exist
	turn    chan struct{}
	hashing *rate.Limiter
	refused func(source netip.Addr, name string) // is told of each password that is not let in; nil: nobody is

	mu        sync.Mutex        // guards what follows, held for no hash
	proven    map[string]digest // the password a hash was last found to fit
	queued    map[netip.Addr]int
	penalties penalties
}

const (
	// hashRate and hashBurst bound how many hashes are computed per second. One of the
	// usual cost takes about 60 ms.
	hashRate  = 4
	hashBurst = 20
	// maxHashCost is that of a hash that takes about a second: with more, nobody
	// could be let in within the time for a handshake while another is checked.
	maxHashCost = 14
)

type digest [sha256.Size]byte

// credential is a digest of the password, or a bcrypt hash of it.
type credential struct {
	plain digest
	hash  []byte
}

// plainMark begins an entry that holds the password itself.
const plainMark = "plain:"

// newAccounts reads the entries of FrontConfig.Users.
func newAccounts(users map[string]string) (*accounts, error) {
	a := &accounts{
		users:   make(map[string]credential, len(users)),
		proven:  make(map[string]digest),
		queued:  make(map[netip.Addr]int),
		turn:    make(chan struct{}, 1),
		hashing: rate.NewLimiter(hashRate, hashBurst),
	}
	if _, err := rand.Read(a.key[:]); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	var errs []error
	for name, entry := range users {
		c, err := a.parse(name, entry)
		if err != nil {
			errs = append(errs, fmt.Errorf("user %q: %w", name, err))
			continue
		}
		a.users[name] = c
		if c.hash != nil {
			a.unknown.hash = c.hash
		}
	}
	return a, errors.Join(errs...)
}

// parse reads one entry. Its errors never hold the entry.
func (a *accounts) parse(name, entry string) (credential, error) {
	const maxField = 255 // RFC 1929 section 2
	if name == "" || len(name) > maxField {
		return credential{}, errors.New("name is not of 1 to 255 bytes")
	}
	if password, ok := strings.CutPrefix(entry, plainMark); ok {
		if len(password) > maxField {
			return credential{}, errors.New("password is longer than 255 bytes")
		}
		return credential{plain: a.digest(password)}, nil
	}
	cost, err := bcrypt.Cost([]byte(entry))
	if err != nil {
		return credential{}, errors.New("neither a bcrypt hash ($2a$..., $2b$..., $2y$...) nor plain:PASSWORD")
	}
	if cost > maxHashCost {
		return credential{}, fmt.Errorf("a bcrypt hash of cost %d takes too long to check; make one of cost %d at most", cost, maxHashCost)
	}
	return credential{hash: []byte(entry)}, nil
}

func (a *accounts) digest(text string) digest {
	m := hmac.New(sha256.New, a.key[:])
	m.Write([]byte(text))
	return digest(m.Sum(nil))
}

// errAuth is a user name or password that does not fit.
var errAuth = errors.New("wrong user name or password")

// verify checks a name and a password that came from source. It is slow for a
// source that has often been wrong, and gives up when ctx is done. A password that
// is looked at costs the same whoever it is for; one that comes too soon, or that
// was wrong a moment ago, is not looked at.
func (a *accounts) verify(ctx context.Context, source netip.Addr, name, password string) error {
	err := a.judge(ctx, source, name, password)
	if errors.Is(err, errAuth) && a.refused != nil {
		a.refused(source, name)
	}
	return err
}

// judge is verify without telling anybody.
func (a *accounts) judge(ctx context.Context, source netip.Addr, name, password string) error {
	g := &guess{source: source, name: a.digest(name), both: a.digest(name + "\x00" + password)}
	if a.enter(g, name, password) {
		return nil
	}
	defer a.leave(g)
	for waited := false; ; waited = true {
		select {
		case a.turn <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("check password: %w", context.Cause(ctx))
		}
		wait, err := a.verifyNow(ctx, g, name, password, waited)
		<-a.turn
		if wait == 0 {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("check password: %w", context.Cause(ctx))
		}
	}
}

// enter reports whether a password is proven, and otherwise queues the guess, which
// must leave. Only the first in the queue of a source that has no penalty is looked
// at: a source that tries many at once would otherwise learn about all of them for
// the price of one.
func (a *accounts) enter(g *guess, name, password string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	source := sourceOf(g.source)
	if a.queued[source] == 0 && a.penalties.isFree(g, time.Now()) && a.isProven(name, password) {
		a.penalties.succeeded(g)
		return true
	}
	a.queued[source]++
	return false
}

func (a *accounts) leave(g *guess) {
	a.mu.Lock()
	defer a.mu.Unlock()
	source := sourceOf(g.source)
	if a.queued[source]--; a.queued[source] == 0 {
		delete(a.queued, source)
	}
}

// isProven reports whether the password is the one that the user's hash was last
// found to fit. It needs mu.
func (a *accounts) isProven(name, password string) bool {
	d := a.digest(password)
	last, ok := a.proven[name]
	return ok && hmac.Equal(d[:], last[:])
}

// verifyNow checks at once, or says how long the source has to wait before that. The
// turn is the caller's.
func (a *accounts) verifyNow(ctx context.Context, g *guess, name, password string, waited bool) (time.Duration, error) {
	wait, err := a.admit(g, name, waited)
	if wait > 0 || err != nil {
		return wait, err
	}
	if a.unknown.hash != nil {
		if err := a.hashing.Wait(ctx); err != nil {
			return 0, fmt.Errorf("check password: too many others: %w", err)
		}
	}
	fits := a.fits(name, password)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !fits {
		a.penalties.failed(g, time.Now())
		return 0, fmt.Errorf("user %q: %w", name, errAuth)
	}
	a.penalties.succeeded(g)
	return 0, nil
}

// admit decides whether a guess is looked at now, later or not at all.
func (a *accounts) admit(g *guess, name string, waited bool) (time.Duration, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.penalties.isRepeated(g, time.Now()) {
		return 0, fmt.Errorf("user %q, the same as before: %w", name, errAuth)
	}
	if waited {
		return 0, nil
	}
	wait, ok := a.penalties.wait(g, time.Now())
	if !ok {
		return 0, fmt.Errorf("user %q, too many attempts: %w", name, errAuth)
	}
	return wait, nil
}

// fits takes as long for a name that does not exist as for one that does, when
// some user has a hash as when none has. A password that has fitted a hash is
// remembered by its digest: a browser opens dozens of connections.
func (a *accounts) fits(name, password string) bool {
	d := a.digest(password)
	user, known := a.users[name]
	if !known {
		user = a.unknown
	}
	if user.hash == nil {
		ok := hmac.Equal(d[:], user.plain[:]) && known
		if !ok && a.unknown.hash != nil {
			_ = bcrypt.CompareHashAndPassword(a.unknown.hash, d[:]) // for its time only
		}
		return ok
	}
	a.mu.Lock()
	proven := known && a.isProven(name, password)
	a.mu.Unlock()
	if proven {
		return true
	}
	if bcrypt.CompareHashAndPassword(user.hash, []byte(password)) != nil || !known {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.proven[name] = d
	return true
}

package upstream

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// ErrNoPin says that the egress's key is to be learned, and has not been yet.
var ErrNoPin = errors.New("the egress's key is not known yet: there has been no first contact")

// A pin is the egress's key: the configured one, or one that a first contact
// finds and a file keeps.
type pin struct {
	file  string        // empty: the key is configured
	known chan struct{} // closed when there is a key

	mu  sync.Mutex
	key PublicKey
}

// newPin returns the pin of a configured key; of zeros, one that has none yet.
func newPin(key PublicKey) *pin {
	p := &pin{known: make(chan struct{})}
	if !key.IsZero() {
		p.set(key)
	}
	return p
}

func (p *pin) set(key PublicKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.key = key
	close(p.known)
}

// isKnown reports whether there is a key.
func (p *pin) isKnown() bool {
	select {
	case <-p.known:
		return true
	default:
		return false
	}
}

// check says why key is not the egress's.
func (p *pin) check(key PublicKey) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.key.IsZero():
		return ErrNoPin
	case p.key.equal(key):
		return nil
	case p.file != "":
		return fmt.Errorf("%w, which the first contact left in %s; if the egress has been set up anew, remove that file", ErrWrongEgressKey, p.file)
	default:
		return ErrWrongEgressKey
	}
}

// load takes the key from its file, if that is there.
func (p *pin) load(file string) error {
	key, err := readPin(file)
	if err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	p.file = file
	if !key.IsZero() {
		p.set(key)
	}
	return nil
}

// keep takes a key that a first contact has found, when its file has it.
func (p *pin) keep(key PublicKey, paths []string) error {
	// Another client of the same file may have been quicker.
	switch there, err := readPin(p.file); {
	case err != nil:
		return fmt.Errorf("keep the egress's key: %w", err)
	case there.IsZero():
		if err := writePin(p.file, key, paths); err != nil {
			return fmt.Errorf("keep the egress's key: %w", err)
		}
	case !there.equal(key):
		return fmt.Errorf("keep the egress's key: %s has another one since a moment ago", p.file)
	}
	p.set(key)
	return nil
}

// readPin returns the key in a file, or zeros if there is no file.
func readPin(file string) (PublicKey, error) {
	f, err := openKeyFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return PublicKey{}, nil
	}
	if err != nil {
		return PublicKey{}, err
	}
	defer f.Close()
	text, err := readKeyFile(f) // who may write it decides who the egress is
	if err != nil {
		return PublicKey{}, err
	}
	bad := fmt.Errorf("%s has no public key in it; remove the file to make a first contact again", file)
	found := ""
	for line := range strings.Lines(string(text)) {
		switch line = strings.TrimSpace(line); {
		case line == "" || line[0] == '#':
		case found != "":
			return PublicKey{}, bad
		default:
			found = line
		}
	}
	key, err := ParsePublicKey(found)
	if err != nil || key.IsZero() {
		return PublicKey{}, bad
	}
	return key, nil
}

// writePin puts the key into its file in one step, for its owner alone.
func writePin(file string, key PublicKey, paths []string) error {
	dir := filepath.Dir(file)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(file)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // in vain when all went well
	text := fmt.Sprintf("# The egress's public key, as the paths %s showed it on %s.\n# Remove this file to make a first contact again.\n%s\n",
		strings.Join(paths, ", "), time.Now().UTC().Format(time.RFC3339), key)
	if err := writeAll(tmp, []byte(text)); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), file); err != nil {
		return err
	}
	syncDir(dir)
	return nil
}

package upstream

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxKeyFile is many times what a key file holds, and bounds what is read of a
// file that is none.
const maxKeyFile = 4 << 10

// LoadIdentity reads a private key that Save wrote. It refuses a file that
// others may read or replace, and anything that is not an ordinary file. Its
// errors never show what is in the file.
func LoadIdentity(file string) (Identity, error) {
	f, err := openKeyFile(file)
	if err != nil {
		return Identity{}, fmt.Errorf("load identity: %w", err)
	}
	defer f.Close()
	text, err := readKeyFile(f)
	if err != nil {
		return Identity{}, fmt.Errorf("load identity: %w", err)
	}
	id, err := parseIdentity(text)
	if err != nil {
		return Identity{}, fmt.Errorf("load identity: %s is not a private key: %w", file, err)
	}
	return id, nil
}

// readKeyFile checks and reads one open file, so that what was checked is what
// is read.
func readKeyFile(f *os.File) ([]byte, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := ordinaryFile(f.Name(), st); err != nil {
		return nil, err
	}
	if err := checkKeyMode(f.Name(), st); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxKeyFile {
		return nil, fmt.Errorf("%s is too long for a key", f.Name())
	}
	return text, nil
}

func ordinaryFile(file string, st os.FileInfo) error {
	kind := ""
	switch m := st.Mode(); {
	case m.IsRegular():
		return nil
	case m.IsDir():
		kind = "a directory"
	case m&os.ModeSymlink != 0:
		kind = "a symbolic link"
	case m&os.ModeNamedPipe != 0:
		kind = "a named pipe"
	case m&os.ModeSocket != 0:
		kind = "a socket"
	default:
		kind = "a device"
	}
	return fmt.Errorf("%s is %s; a key must be in an ordinary file", file, kind)
}

// Save writes the private key to a new file that only its owner may read. It
// does not replace a file: an identity that is overwritten is lost.
func (id Identity) Save(file string) error {
	if id.IsZero() {
		return errors.New("save identity: there is none")
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("save identity: %w", err)
	}
	// The umask can only have taken rights away; say what is meant all the same.
	err = errors.Join(f.Chmod(0o600), writeAll(f, id.text()))
	if err != nil {
		_ = os.Remove(file)
		return fmt.Errorf("save identity: %w", err)
	}
	syncDir(filepath.Dir(file))
	return nil
}

func writeAll(f *os.File, b []byte) error {
	_, err := f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncDir makes a new name in dir durable where the system can do that. Without
// it a crash loses the file, which a person notices and repeats.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}

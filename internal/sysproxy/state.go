package sysproxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// change is what happened to a key.
type change struct {
	Key  string `json:"key"`
	From value  `json:"from"`
	To   value  `json:"to"`
}

// changed are the changes of one desktop, in the order in which they were made.
type changed struct {
	Name    string   `json:"name"`
	Changes []change `json:"changes"`
}

// state is everything that is in force.
type state struct {
	Owner    Owner     `json:"owner"`
	Proxy    string    `json:"proxy"` // HOST:PORT of the client
	Desktops []changed `json:"desktops"`
}

// of returns the changes of a desktop, nil if there are none.
func (s *state) of(name string) []change {
	if s == nil {
		return nil
	}
	for _, c := range s.Desktops {
		if c.Name == name {
			return c.Changes
		}
	}
	return nil
}

// maxState bounds what is read of a file that anything may have written.
const maxState = 1 << 20

// load returns what is in force, nil if nothing is.
func (m *Manager) load() (*state, error) {
	f, err := os.Open(m.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("system proxy: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxState))
	if err != nil {
		return nil, fmt.Errorf("system proxy: %w", err)
	}
	s := &state{}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("system proxy: %s is damaged (%w): set the system's proxy by hand and remove the file", m.file, err)
	}
	return s, nil
}

// save writes s in one step: who loses power has the old file or the new one.
func (m *Manager) save(s *state) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(m.file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("system proxy: %w", err)
	}
	tmp, err := os.CreateTemp(dir, ".system-proxy.*")
	if err != nil {
		return fmt.Errorf("system proxy: %w", err)
	}
	defer os.Remove(tmp.Name()) // in vain when all went well
	_, err = tmp.Write(append(text, '\n'))
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("system proxy: write %s: %w", m.file, err)
	}
	return os.Rename(tmp.Name(), m.file)
}

func (m *Manager) remove() error {
	if err := os.Remove(m.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("system proxy: %w", err)
	}
	return nil
}

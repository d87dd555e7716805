package configs

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// AddClient returns the text of the egress's file called name with one more
// client in it. Everything else, comments included, stays as it is.
func AddClient(name string, text []byte, c ClientKey) ([]byte, error) {
	old, err := ParseEgress(name, text)
	if err != nil {
		return nil, err
	}
	for _, o := range old.Clients {
		if o.Name == c.Name {
			return nil, old.Problem("clients", fmt.Sprintf("already has a client named %s; remove the entry first to give him a new key", c.Name))
		}
	}
	root, err := parse(name, text)
	if err != nil {
		return nil, err
	}
	added, err := insertClient(text, root.get("clients"), c)
	if err != nil {
		return nil, old.Problem("clients", err.Error())
	}
	// Trust, but read it again: the file may be written in a way that the
	// lines above did not foresee.
	got, err := ParseEgress(name, added)
	if err != nil || !slices.Equal(got.Clients, append(slices.Clone(old.Clients), c)) {
		return nil, old.Problem("clients", errByHand(c).Error())
	}
	return added, nil
}

// insertClient adds the lines of c after the last line of list.
func insertClient(text []byte, list *node, c ClientKey) ([]byte, error) {
	if list == nil || list.kind != kindList || list.flow || len(list.items) == 0 {
		return nil, errByHand(c)
	}
	newline := "\n"
	if bytes.Contains(text, []byte("\r\n")) {
		newline = "\r\n"
	}
	indent := strings.Repeat(" ", list.col-1)
	entry := strings.Join(entryLines(indent, c), newline) + newline
	at := lineEnd(text, list.lastLine())
	if at > 0 && text[at-1] != '\n' {
		entry = newline + entry
	}
	return slices.Concat(text[:at], []byte(entry), text[at:]), nil
}

// entryLines are the lines of one client in the file.
func entryLines(indent string, c ClientKey) []string {
	return []string{indent + fmt.Sprintf("- name: %q", c.Name), indent + "  key: " + c.Key.String()}
}

// lineEnd returns the offset behind the line with number line, from 1.
func lineEnd(text []byte, line int) int {
	at := 0
	for range line {
		i := bytes.IndexByte(text[at:], '\n')
		if i < 0 {
			return len(text)
		}
		at += i + 1
	}
	return at
}

func errByHand(c ClientKey) error {
	return errors.New("is not a list with one entry a line; add this by hand: " + strings.TrimSpace(strings.Join(entryLines("", c), " |")))
}

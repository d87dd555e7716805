package configs

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// CheckNewUser says why a user called user cannot be added to the client's file called
// name. What is otherwise wrong with the file is an error, too, but for a lack of users.
func CheckNewUser(name string, text []byte, user string) error {
	c, err := parseForUsers(name, text)
	if err != nil {
		return err
	}
	switch _, there := c.Socks.Users[user]; {
	case there:
		return c.Problem("socks.users", fmt.Sprintf("already has a user named %s; remove it first to give a new password", user))
	case user == "" || len(user) > maxCredential:
		return fmt.Errorf("a user's name must have 1 to %d characters", maxCredential)
	case strings.ContainsFunc(user, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("a user's name has no control characters")
	}
	return nil
}

// AddUser returns the text of the client's file called name with one more user of the
// local port in it. Everything else, comments included, stays as it is.
func AddUser(name string, text []byte, user, hash string) ([]byte, error) {
	if err := CheckNewUser(name, text, user); err != nil {
		return nil, err
	}
	old, err := parseForUsers(name, text)
	if err != nil {
		return nil, err
	}
	root, err := parse(name, text)
	if err != nil {
		return nil, err
	}
	line := fmt.Sprintf("%q: %q", user, hash)
	byHand := old.Problem("socks.users", "is not a section with one user a line; add this by hand: "+line)
	added, ok := insertUser(text, root, line)
	if !ok {
		return nil, byHand
	}
	want := maps.Clone(old.Socks.Users)
	if want == nil {
		want = make(map[string]string)
	}
	want[user] = hash
	// Trust, but read it again: the file may be written in a way that was not foreseen.
	if got, err := ParseClient(name, added); err != nil || !maps.Equal(got.Socks.Users, want) {
		return nil, byHand
	}
	return added, nil
}

// parseForUsers reads a client's file. A port that is open to everybody is what the
// first user is for, so that alone is no reason to refuse him.
func parseForUsers(name string, text []byte) (*Client, error) {
	c, err := ParseClient(name, text)
	var ps Problems
	if !errors.As(err, &ps) {
		return c, err
	}
	rest := slices.DeleteFunc(slices.Clone(ps), func(p Problem) bool {
		return strings.HasPrefix(p.Key, "socks.listen") && strings.Contains(p.Text, "lets other machines in")
	})
	if len(rest) > 0 {
		return nil, err
	}
	return c, nil
}

// insertUser adds a line to the users, or the users to the section socks.
func insertUser(text []byte, root *node, line string) ([]byte, bool) {
	newline := "\n"
	if bytes.Contains(text, []byte("\r\n")) {
		newline = "\r\n"
	}
	section := root.get("socks")
	if section == nil {
		return insertLines(text, root.lastLine(), newline, "socks:", "  users:", "    "+line), true
	}
	if section.kind != kindMap || section.flow || len(section.pairs) == 0 {
		return nil, false
	}
	indent := strings.Repeat(" ", section.pairs[0].key.col-1)
	users := section.get("users")
	switch {
	case users == nil:
		return insertLines(text, section.lastLine(), newline, indent+"users:", indent+"  "+line), true
	case users.kind != kindMap || users.flow || len(users.pairs) == 0:
		return nil, false
	}
	return insertLines(text, users.lastLine(), newline, strings.Repeat(" ", users.pairs[0].key.col-1)+line), true
}

// insertLines puts lines behind the one with number after, from 1.
func insertLines(text []byte, after int, newline string, lines ...string) []byte {
	entry := strings.Join(lines, newline) + newline
	at := lineEnd(text, after)
	if at > 0 && text[at-1] != '\n' {
		entry = newline + entry
	}
	return slices.Concat(text[:at], []byte(entry), text[at:])
}

// RemoveUser returns the text of the client's file called name without a user. When he
// was the last one, the port asks for no password any more; where other machines reach
// it, that is refused.
func RemoveUser(name string, text []byte, user string) ([]byte, error) {
	old, err := ParseClient(name, text)
	if err != nil {
		return nil, err
	}
	if _, there := old.Socks.Users[user]; !there {
		return nil, old.Problem("socks.users", "has no user named "+user)
	}
	root, err := parse(name, text)
	if err != nil {
		return nil, err
	}
	byHand := old.Problem("socks.users", "is not a section with one user a line; remove "+user+" by hand")
	cut, ok := cutUser(text, root.get("socks").get("users"), user)
	if !ok {
		return nil, byHand
	}
	want := maps.Clone(old.Socks.Users)
	delete(want, user)
	got, err := ParseClient(name, cut)
	switch {
	case err != nil && len(want) == 0:
		return nil, fmt.Errorf("without its last user the file would be refused: %w", err)
	case err != nil || !maps.Equal(got.Socks.Users, want):
		return nil, byHand
	}
	return cut, nil
}

// cutUser takes the lines of a user out, with the key users if nobody is left.
func cutUser(text []byte, users *node, user string) ([]byte, bool) {
	if users.kind != kindMap || users.flow {
		return nil, false
	}
	for i, p := range users.pairs {
		if p.key.text != user {
			continue
		}
		from, to := p.key.line, p.value.lastLine()
		shared := i > 0 && users.pairs[i-1].value.lastLine() >= from || i+1 < len(users.pairs) && users.pairs[i+1].key.line <= to
		if shared {
			return nil, false
		}
		if len(users.pairs) == 1 {
			from = users.line // the key itself is on the line of its value, or above
			for from > 1 && !bytes.Contains(text[lineEnd(text, from-1):lineEnd(text, from)], []byte("users")) {
				from--
			}
		}
		return slices.Concat(text[:lineEnd(text, from-1)], text[lineEnd(text, to):]), true
	}
	return nil, false
}

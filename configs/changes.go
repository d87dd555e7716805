package configs

import (
	"reflect"
	"slices"
	"strings"
)

// A Change is a setting that one configuration has otherwise than another.
type Change struct {
	Setting string `json:"setting"` // dotted name; lists and maps count as one setting
	// As they are written: empty if nothing is, "..." for a list or a map and for what
	// nobody else should see.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// String is the change on one line.
func (c Change) String() string {
	if c.From == c.To {
		return c.Setting
	}
	name := func(value string) string {
		if value == "" {
			return "default"
		}
		return value
	}
	return c.Setting + " (" + name(c.From) + " -> " + name(c.To) + ")"
}

// Changes lists what next has otherwise than c, in the order of the file. What is
// only written in another way, such as 5m for 300s, is no change.
func (c *Client) Changes(next *Client) []Change {
	return changes(&c.Source, &next.Source, func() ([]field, any) {
		x := defaultClient()
		return clientFields(x), x
	}, func(x any) { x.(*Client).complete() })
}

// Changes lists what next has otherwise than e, as that of Client does.
func (e *Egress) Changes(next *Egress) []Change {
	return changes(&e.Source, &next.Source, func() ([]field, any) {
		x := defaultEgress()
		return egressFields(x), x
	}, func(x any) { x.(*Egress).complete() })
}

// changes reads each setting of both for itself into a configuration that says nothing
// else, so that it holds for every setting there is. fresh makes one, with the fields that
// fill it; complete adds what is not said.
func changes(old, next *Source, fresh func() ([]field, any), complete func(any)) []Change {
	read := func(s *Source, setting string) any {
		fields, into := fresh()
		if n := s.values[setting]; n != nil {
			leafField(fields, setting).set(newDecoder(s.File), n, setting)
		}
		complete(into)
		return into
	}
	var found []Change
	fields, _ := fresh()
	for _, setting := range keys("", fields) {
		if reflect.DeepEqual(read(old, setting), read(next, setting)) {
			continue
		}
		found = append(found, Change{setting, plainValue(setting, old.values[setting]), plainValue(setting, next.values[setting])})
	}
	return found
}

// leafField is the field of a setting.
func leafField(fields []field, setting string) *field {
	for {
		name, rest, more := strings.Cut(setting, ".")
		f := findField(fields, name)
		if !more {
			return f
		}
		fields, setting = f.section, rest
	}
}

// secretWords are parts of the names of settings whose values are nobody's business.
var secretWords = []string{"password", "secret", "token", "users", "rules", "next_hop", "egress.socks5"}

// plainValue is a value as a line of a log can have it.
func plainValue(setting string, n *node) string {
	switch {
	case n == nil || n.kind == kindNull:
		return ""
	case n.kind < kindString || slices.ContainsFunc(secretWords, func(w string) bool { return strings.Contains(setting, w) }):
		return "..."
	}
	return n.text
}

// Keep has s hold the values of old for the given settings: they are what counts until a
// restart, and what a later configuration is to be compared with.
func (s *Source) Keep(old *Source, settings []string) {
	for _, setting := range settings {
		delete(s.values, setting)
		if n := old.values[setting]; n != nil {
			s.values[setting] = n
		}
	}
}

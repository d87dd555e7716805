package configs

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// field is one key that a section may have. Exactly one of section and set is
// given; a section may be left empty in the file, which means all its defaults.
type field struct {
	name    string
	section []field
	set     func(d *decoder, n *node, key string)
}

// place is where a setting stands in its file.
type place struct{ line, col int }

// decoder fills a configuration from a tree and gathers what is wrong.
type decoder struct {
	file     string
	problems Problems
	places   map[string]place // of every key that the file has
}

func newDecoder(file string) *decoder {
	return &decoder{file: file, places: make(map[string]place)}
}

// problem notes that what stands at n is wrong.
func (d *decoder) problem(n *node, key, format string, args ...any) {
	d.problems = append(d.problems, Problem{
		File: d.file, Line: n.line, Column: n.col, Key: key, Text: fmt.Sprintf(format, args...),
	})
}

// required notes that a setting without which nothing works is not there or
// is empty, unless something else that is wrong with it has been said.
func (d *decoder) required(key string, have bool, what string) {
	if have || slices.ContainsFunc(d.problems, func(p Problem) bool {
		return p.Key == key || strings.HasPrefix(p.Key, key+"[")
	}) {
		return
	}
	if _, ok := d.places[key]; ok {
		d.at(key, "is empty; want %s", what)
		return
	}
	p := Problem{File: d.file, Line: 1, Column: 1, Key: key, Text: "is missing; want " + what}
	if pl, ok := d.places[parent(key)]; ok {
		p.Line, p.Column = pl.line, pl.col
	}
	d.problems = append(d.problems, p)
}

// at notes a problem at a key that the file has, or at the top of the file.
func (d *decoder) at(key, format string, args ...any) {
	pl, ok := d.places[key]
	if !ok {
		pl = place{1, 1}
	}
	d.problems = append(d.problems, Problem{
		File: d.file, Line: pl.line, Column: pl.col, Key: key, Text: fmt.Sprintf(format, args...),
	})
}

// section reads a map whose keys are fields; key is its dotted name.
func (d *decoder) section(n *node, key string, fields []field) {
	if n.kind != kindMap {
		d.problem(n, key, "must be a section of keys (%s), not %s", fieldNames(fields), n.kind)
		return
	}
	seen := make(map[string]int)
	for _, p := range n.pairs {
		name := p.key.text
		full := join(key, name)
		if line, dup := seen[name]; dup {
			d.problem(p.key, full, "is given a second time; first on line %d", line)
			continue
		}
		seen[name] = p.key.line
		f := findField(fields, name)
		if f == nil {
			d.problem(p.key, full, "is not a known key; %s", suggest(name, fields))
			continue
		}
		d.places[full] = place{p.key.line, p.key.col}
		switch {
		case f.section == nil:
			d.places[full] = place{p.value.line, p.value.col}
			f.set(d, p.value, full)
		case p.value.kind != kindNull:
			d.section(p.value, full, f.section)
		}
	}
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

func findField(fields []field, name string) *field {
	for i := range fields {
		if fields[i].name == name {
			return &fields[i]
		}
	}
	return nil
}

func fieldNames(fields []field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return strings.Join(names, ", ")
}

// suggest says what a mistyped key may have meant.
func suggest(name string, fields []field) string {
	best, bestAt := "", max(2, len(name)/3)+1
	for _, f := range fields {
		if at := distance(strings.ToLower(name), f.name); at < bestAt {
			best, bestAt = f.name, at
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "known here: " + fieldNames(fields)
}

// distance is the number of characters to add, drop, change or swap with the
// next one to get from a to b. Names are short, so long ones count as far.
func distance(a, b string) int {
	const far = 64
	if len(a) > far || len(b) > far {
		return far
	}
	var before, last, row [far + 1]int
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// keys lists the dotted names of all settings under fields.
func keys(prefix string, fields []field) []string {
	var names []string
	for _, f := range fields {
		full := join(prefix, f.name)
		if f.section != nil {
			names = append(names, keys(full, f.section)...)
			continue
		}
		names = append(names, full)
	}
	return names
}

// Source says where a loaded configuration came from.
type Source struct {
	File   string // as it was named to the loader
	places map[string]place
}

// Problem returns what is wrong with the setting key (such as "identity" or
// "targets.allow[2]") as a Problem that names its line. It is for those who
// find out only when they use a value.
func (s *Source) Problem(key, text string) Problem {
	p := Problem{File: s.File, Key: key, Text: text}
	for k := key; k != ""; k = parent(k) {
		if pl, ok := s.places[k]; ok {
			p.Line, p.Column = pl.line, pl.col
			break
		}
	}
	return p
}

// parent cuts the last element off a dotted name.
func parent(key string) string {
	return key[:max(strings.LastIndexAny(key, ".["), 0)]
}

// resolve makes a file name of the configuration relative to its folder.
func resolve(configFile, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(configFile), name)
}

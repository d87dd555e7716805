package configs

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mpsocks/mpsocks/internal/slip"
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
	file      string
	noFile    bool // file is only what messages call it
	problems  Problems
	places    map[string]place  // of every key that the file has
	variables map[string]string // of the settings that are from the environment
	values    map[string]*node  // of the settings that are there
}

func newDecoder(file string) *decoder {
	return &decoder{file: file, places: make(map[string]place), variables: make(map[string]string), values: make(map[string]*node)}
}

// problem notes that what stands at n is wrong.
func (d *decoder) problem(n *node, key, format string, args ...any) {
	d.note(place{n.line, n.col}, key, fmt.Sprintf(format, args...))
}

func (d *decoder) note(at place, key, text string) {
	d.problems = append(d.problems, Problem{
		File: cmp.Or(variableAt(d.variables, key), d.file), Line: at.line, Column: at.col, Key: key, Text: text,
	})
}

// variableAt is the variable that a setting, or what it is in, is from.
func variableAt(variables map[string]string, key string) string {
	for ; key != ""; key = parent(key) {
		if v, ok := variables[key]; ok {
			return v
		}
	}
	return ""
}

// top is the place of what is nowhere.
func (d *decoder) top() place {
	if d.noFile {
		return place{}
	}
	return place{1, 1}
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
	pl, ok := d.places[parent(key)]
	if !ok {
		pl = d.top()
	}
	text := "is missing; want " + what
	if d.noFile {
		text += ", in the variable " + variableOf(key)
	}
	d.note(pl, key, text)
}

// at notes a problem at a key that the file has, or at the top of the file.
func (d *decoder) at(key, format string, args ...any) {
	pl, ok := d.places[key]
	if !ok {
		pl = d.top()
	}
	d.note(pl, key, fmt.Sprintf(format, args...))
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
			d.values[full] = p.value
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
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	if best := slip.Nearest(name, names); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "known here: " + fieldNames(fields)
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
	File      string // as it was named to the loader; "environment" if there is none
	places    map[string]place
	variables map[string]string // of the settings that are from the environment
	values    map[string]*node
}

func (d *decoder) source() Source {
	return Source{File: d.file, places: d.places, variables: d.variables, values: d.values}
}

// Problem returns what is wrong with the setting key (such as "identity" or
// "targets.allow[2]") as a Problem that names its line. It is for those who
// find out only when they use a value.
func (s *Source) Problem(key, text string) Problem {
	p := Problem{File: cmp.Or(variableAt(s.variables, key), s.File), Key: key, Text: text}
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

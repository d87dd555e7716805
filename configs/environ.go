package configs

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"
	"github.com/mpsocks/mpsocks/internal/slip"
)

// VariablePrefix begins the name of every variable of the environment that is a setting:
// socks.listen is MPSOCKS_SOCKS_LISTEN.
const VariablePrefix = "MPSOCKS_"

// ownPrefixes begin the variables that the program gives itself: its laboratory, and
// its tests.
var ownPrefixes = []string{VariablePrefix + "LAB_", VariablePrefix + "TEST_"}

// environmentName is what messages call a configuration that is in no file.
const environmentName = "environment"

// Input is where a configuration comes from. A setting of the environment takes the
// place of the same one of the file; a list of it takes the place of the whole list.
type Input struct {
	File string // empty: there is none
	// Environ is of NAME=value, as os.Environ has it. A value is written as in the file:
	// lists and maps in brackets. An empty one counts as none. An unknown name that begins
	// with VariablePrefix is a Problem. nil: only the file counts.
	Environ []string
}

// HasSettings reports whether environ has any setting of a client or egress.
func HasSettings(environ []string) bool {
	return len(variablesOf(environ)) > 0
}

// SettingIn is the value that environ has for a setting, such as admin.listen, as it stands
// there; empty if it has none.
func SettingIn(environ []string, setting string) string {
	return variablesOf(environ)[variableOf(setting)]
}

// Ports is Client for those who only want to know where a client's ports are, and their users: of the environment only
// such settings count, and without a file nothing need be complete.
func (in Input) Ports() (*Client, error) {
	const socks, admin = VariablePrefix + "SOCKS_", VariablePrefix + "ADMIN_"
	in.Environ = slices.DeleteFunc(slices.Clone(in.Environ), func(kv string) bool {
		return !strings.HasPrefix(kv, socks) && !strings.HasPrefix(kv, admin)
	})
	c, err := in.Client()
	if in.File == "" && c != nil {
		c.Source.File = "" // nobody has said that what is not there shall not be
	}
	if ps, ok := errors.AsType[Problems](err); ok && in.File == "" {
		ofPorts := slices.DeleteFunc(slices.Clone(ps), func(p Problem) bool {
			return !strings.HasPrefix(p.Key, "socks.") && !strings.HasPrefix(p.Key, "admin.") && !strings.HasPrefix(p.File, VariablePrefix)
		})
		return c, ofPorts.err()
	}
	return c, err
}

// Client is LoadClient for an Input.
func (in Input) Client() (*Client, error) {
	d, root, err := in.read(clientFields(&Client{}))
	if err != nil {
		return nil, err
	}
	return d.client(root)
}

// Egress is LoadEgress for an Input.
func (in Input) Egress() (*Egress, error) {
	d, root, err := in.read(egressFields(&Egress{}))
	if err != nil {
		return nil, err
	}
	return d.egress(root)
}

// EgressPorts returns only where an egress listens and what its clients dial: of an egress
// that has neither keys nor clients yet.
func (in Input) EgressPorts() (listen, address []string, err error) {
	var e Egress
	d, root, err := in.read(egressFields(&e))
	if err != nil {
		return nil, nil, err
	}
	d.section(root, "", egressFields(&e))
	return e.Listen, e.Address, d.problems.err()
}

// Load is the function Load for an Input.
func (in Input) Load() (*Client, *Egress, error) {
	both := append(clientFields(&Client{}), egressFields(&Egress{})...)
	_, root, err := in.read(both)
	if err != nil {
		return nil, nil, err
	}
	if isEgress(root) {
		e, err := in.Egress()
		return nil, e, err
	}
	c, err := in.Client()
	return c, nil, err
}

// read returns the tree of the file with the settings of the environment in it, and the
// decoder for it. fields are what the environment may set.
func (in Input) read(fields []field) (*decoder, *node, error) {
	d := newDecoder(cmp.Or(in.File, environmentName))
	root := &node{kind: kindMap}
	if in.File != "" {
		text, err := ReadFile(in.File)
		if err != nil {
			return nil, nil, err
		}
		if root, err = parse(in.File, text); err != nil {
			return nil, nil, err
		}
	}
	unlistEgress(root)
	d.noFile = in.File == ""
	d.environ(root, fields, variablesOf(in.Environ))
	return d, root, nil
}

// variablesOf are the settings of an environment by their variables' names.
func variablesOf(environ []string) map[string]string {
	vars := make(map[string]string)
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		isOwn := slices.ContainsFunc(ownPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
		if strings.HasPrefix(name, VariablePrefix) && !isOwn && value != "" {
			vars[name] = value
		}
	}
	return vars
}

// variableOf is the name of the variable for a setting.
func variableOf(setting string) string {
	return VariablePrefix + strings.ToUpper(strings.ReplaceAll(setting, ".", "_"))
}

// environ puts the settings of variables into the tree of a file.
func (d *decoder) environ(root *node, fields []field, variables map[string]string) {
	settings := make(map[string]string) // by variable
	for _, s := range keys("", fields) {
		settings[variableOf(s)] = s
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		setting, ok := settings[name]
		if !ok {
			d.problems = append(d.problems, Problem{File: name, Text: unknownVariable(name, settings)})
			continue
		}
		n, err := parseVariable(name, variables[name])
		if err != nil {
			d.problems = append(d.problems, err...)
			continue
		}
		d.variables[setting] = name
		root.put(strings.Split(setting, "."), n)
	}
}

// unknownVariable says what a name that is not the variable of a setting may be.
func unknownVariable(name string, settings map[string]string) string {
	for _, side := range []struct {
		fields []field
		name   string
	}{{clientFields(&Client{}), "client"}, {egressFields(&Egress{}), "egress"}} {
		for _, s := range keys("", side.fields) {
			if variableOf(s) == name {
				return fmt.Sprintf("is a setting of the %s (%s), and this is not one", side.name, s)
			}
		}
	}
	short := func(v string) string { return strings.TrimPrefix(v, VariablePrefix) } // all have that in common
	var known []string
	for v := range settings {
		known = append(known, short(v))
	}
	slices.Sort(known)
	if near := slip.Nearest(short(name), known); near != "" {
		return fmt.Sprintf("is not a known variable; did you mean %q?", VariablePrefix+near)
	}
	return "is not a known variable; `mpsocks help environment` lists them"
}

// parseVariable reads the value of a variable as the file would have it. A value that
// does not begin as a list, a map or a text in quotes is taken as it stands, so that
// nothing in it has to be quoted for YAML as well as for the shell.
func parseVariable(name, value string) (*node, Problems) {
	if p, ok := badByte([]byte(value)); ok {
		p.File = name
		return nil, Problems{p}
	}
	trimmed := strings.TrimSpace(value)
	if len(value) > maxFileSize {
		return nil, Problems{{File: name, Text: fmt.Sprintf("is longer than %d bytes", maxFileSize)}}
	}
	if !strings.ContainsRune(`[{"'`, firstRune(trimmed)) && !strings.Contains(trimmed, "\n") {
		return &node{kind: scalarKind(trimmed), text: trimmed}, nil
	}
	// The parser takes a map. A line of its own leaves the value its columns.
	root, err := parse(name, []byte("value:\n "+strings.ReplaceAll(value, "\n", "\n ")))
	if err != nil {
		ps, _ := err.(Problems) //nolint:errorlint // parse returns nothing else
		for i := range ps {
			ps[i].Line, ps[i].Column = max(ps[i].Line-1, 0), max(ps[i].Column-1, 0)
		}
		return nil, ps
	}
	if len(root.pairs) != 1 {
		return nil, Problems{{File: name, Text: "is not one value"}}
	}
	n := root.pairs[0].value
	n.shift(-1, -1)
	return n, nil
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

// scalarKind is what YAML takes a plain word for.
func scalarKind(s string) kind {
	switch t := token.New(s, s, &token.Position{}); t.Type {
	case token.BoolType:
		return kindBool
	case token.NullType:
		return kindNull
	case token.IntegerType, token.FloatType, token.BinaryIntegerType, token.OctetIntegerType, token.HexIntegerType,
		token.InfinityType, token.NanType:
		return kindNumber
	}
	return kindString
}

// shift moves a tree's places.
func (n *node) shift(lines, columns int) {
	n.line, n.col = n.line+lines, n.col+columns
	for _, p := range n.pairs {
		p.key.shift(lines, columns)
		if p.value.kind != kindNull { // which has its key's place, and may share it
			p.value.shift(lines, columns)
		} else {
			p.value.line, p.value.col = p.key.line, p.key.col
		}
	}
	for _, it := range n.items {
		it.shift(lines, columns)
	}
}

// put sets the value at path, and makes the sections on the way to it. A section that
// is something else in the file stays: that will be refused.
func (n *node) put(path []string, value *node) {
	for i := range n.pairs {
		p := &n.pairs[i]
		switch {
		case p.key.text != path[0]:
		case len(path) == 1:
			p.value = value
			return
		default:
			if p.value.kind == kindNull {
				p.value = &node{kind: kindMap, line: p.key.line, col: p.key.col}
			}
			p.value.put(path[1:], value)
			return
		}
	}
	if n.kind != kindMap {
		return
	}
	if len(path) > 1 {
		section := &node{kind: kindMap}
		section.put(path[1:], value)
		value = section
	}
	n.pairs = append(n.pairs, pair{key: &node{kind: kindString, text: path[0]}, value: value})
}

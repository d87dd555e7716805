package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	// maxFileSize is far above the largest sensible file: an egress with a
	// thousand clients has 80 KiB.
	maxFileSize = 1 << 20
	// maxKeys bounds the parser's work, which grows with the square of the
	// number of keys in one map.
	maxKeys = 8192
	// maxDepth bounds the parser's recursion, over brackets as over blocks.
	maxDepth = 32
	// maxMarks bounds what the text is taken apart into: each piece takes some
	// hundred bytes, of text that may be a single one.
	maxMarks = 1 << 16
)

// ReadFile returns the text of a configuration file. Only regular files are
// read: a FIFO would wait for ever and a device has no end.
func ReadFile(name string) ([]byte, error) {
	fi, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fileProblem(name, "no such file; `mpsocks join` writes a client's, `mpsocks init` an egress's")
	}
	if err != nil {
		return nil, fileProblem(name, cause(err))
	}
	if !fi.Mode().IsRegular() {
		return nil, fileProblem(name, "is not a regular file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fileProblem(name, cause(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fileProblem(name, cause(err))
	}
	return text, nil
}

// cause strips operation and path from an error of package os: the problem
// names the file itself.
func cause(err error) string {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

func fileProblem(file, text string) Problems {
	return Problems{{File: file, Text: text}}
}

// parse turns the text of a file into a tree. Its errors are Problems.
func parse(file string, text []byte) (root *node, err error) {
	if len(text) > maxFileSize {
		return nil, fileProblem(file, fmt.Sprintf("is larger than %d bytes", maxFileSize))
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if p, ok := badByte(text); ok {
		p.File = file
		return nil, Problems{p}
	}
	if p, ok := tooManyMarks(text); ok {
		p.File = file
		return nil, Problems{p}
	}
	// The parser is not ours and the text may be anything: a crash of it is a
	// problem of the file, not of the program.
	defer func() {
		if r := recover(); r != nil {
			root, err = nil, fileProblem(file, "cannot be understood as YAML")
		}
	}()
	tokens := lexer.Tokenize(string(text))
	if ps := guard(file, tokens); len(ps) > 0 {
		return nil, ps.err()
	}
	tree, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, Problems{syntaxProblem(file, err)}
	}
	return document(file, tree)
}

// badByte finds the first byte that no text file has.
func badByte(text []byte) (Problem, bool) {
	line, col := 1, 1
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n == 1:
			return Problem{Line: line, Column: col, Text: "is not UTF-8 text"}, true
		case r < ' ' && r != '\n' && r != '\r' && r != '\t':
			return Problem{Line: line, Column: col, Text: fmt.Sprintf("has the control character %#02x", r)}, true
		}
		col++
		if r == '\n' {
			line, col = line+1, 1
		}
		text = text[n:]
	}
	return Problem{}, false
}

// tooManyMarks finds the place where a text has more than maxMarks characters
// that may end a piece of it: those that mean something to YAML, and ends of lines.
func tooManyMarks(text []byte) (Problem, bool) {
	marks, line, start := 0, 1, 0
	for i, c := range text {
		if strings.IndexByte("\n-?:,[]{}#&*!|>'\"%@`", c) < 0 {
			continue
		}
		if marks++; marks > maxMarks {
			col := utf8.RuneCount(text[start:i]) + 1
			return Problem{Line: line, Column: col, Text: fmt.Sprintf("has more than %d lines and punctuation marks", maxMarks)}, true
		}
		if c == '\n' {
			line, start = line+1, i+1
		}
	}
	return Problem{}, false
}

// nesting holds the columns at which the blocks begin that a token is in: what is
// further to the right is inside (YAML 1.2.2 section 6.1).
type nesting []int

// enter goes to a block's entry at column and returns how deep it is.
func (n *nesting) enter(column int) int {
	s := *n
	for len(s) > 0 && s[len(s)-1] > column {
		s = s[:len(s)-1]
	}
	if len(s) == 0 || s[len(s)-1] < column {
		s = append(s, column)
	}
	*n = s
	return len(s)
}

// blockColumn returns where a token that makes an entry of a block begins: a
// list's dash, or a key before its colon.
func blockColumn(t *token.Token) (column int, ok bool) {
	switch {
	case t.Type == token.SequenceEntryType:
		return t.Position.Column, true
	case t.Type == token.MappingValueType && t.Prev != nil:
		return t.Prev.Position.Column, true
	}
	return 0, false
}

// guard refuses, before the parser sees them, what could make it work without
// bound and what these files have no use for.
func guard(file string, tokens token.Tokens) Problems {
	var ps Problems
	depth, keys := 0, 0
	var blocks nesting
	tooDeep := false
	add := func(t *token.Token, text string) {
		ps = append(ps, Problem{File: file, Line: t.Position.Line, Column: t.Position.Column, Text: text})
	}
	for _, t := range tokens {
		if column, ok := blockColumn(t); ok && depth == 0 && !tooDeep && blocks.enter(column) > maxDepth {
			tooDeep = true
			add(t, fmt.Sprintf("has more than %d lists or sections inside each other", maxDepth))
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			if depth++; depth == maxDepth+1 {
				add(t, fmt.Sprintf("has more than %d brackets inside each other", maxDepth))
			}
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.MappingValueType:
			if keys++; keys == maxKeys+1 {
				add(t, fmt.Sprintf("has more than %d keys", maxKeys))
			}
		case token.AnchorType, token.AliasType:
			add(t, "anchors and aliases are not supported; put text that starts with & or * in quotes")
		case token.TagType:
			add(t, "tags are not supported; put text that starts with ! in quotes")
		case token.MergeKeyType:
			add(t, "merge keys are not supported")
		case token.MappingKeyType:
			add(t, "keys written with ? are not supported")
		case token.DirectiveType:
			add(t, "directives are not supported; put text that starts with % in quotes")
		}
	}
	return ps
}

func syntaxProblem(file string, err error) Problem {
	p := Problem{File: file, Text: err.Error()}
	var ye yaml.Error
	if !errors.As(err, &ye) {
		return p
	}
	p.Text = strings.ReplaceAll(ye.GetMessage(), "\t", `\t`)
	if t := ye.GetToken(); t != nil && t.Position != nil {
		p.Line, p.Column = max(t.Position.Line, 1), max(t.Position.Column, 1)
		if strings.HasPrefix(strings.TrimLeft(t.Origin, "\n"), "\t") {
			p.Text += "; indent with spaces, not with tabs"
		}
	}
	return p
}

// document returns the one map that a file must be.
func document(file string, tree *ast.File) (*node, error) {
	var body ast.Node
	for _, d := range tree.Docs {
		if d.Body == nil {
			continue
		}
		if body != nil {
			pos := d.Body.GetToken().Position
			return nil, Problems{{File: file, Line: pos.Line, Column: pos.Column, Text: "a second document is not supported"}}
		}
		body = d.Body
	}
	if body == nil {
		return nil, fileProblem(file, "is empty")
	}
	n := convert(body)
	if n.kind != kindMap {
		return nil, Problems{{File: file, Line: n.line, Column: n.col, Text: "is not a list of `key: value` lines but " + n.kind.String()}}
	}
	return n, nil
}

// convert takes over the library's tree.
func convert(a ast.Node) *node {
	n := &node{}
	if t := a.GetToken(); t != nil && t.Position != nil {
		n.line, n.col, n.text = max(t.Position.Line, 1), max(t.Position.Column, 1), t.Value
	}
	switch a := a.(type) {
	case *ast.MappingNode:
		n.kind, n.flow = kindMap, a.IsFlowStyle
		for _, v := range a.Values {
			n.pairs = append(n.pairs, convertPair(v))
		}
	case *ast.MappingValueNode:
		n.kind, n.pairs = kindMap, []pair{convertPair(a)}
	case *ast.SequenceNode:
		n.kind, n.flow = kindList, a.IsFlowStyle
		for _, v := range a.Values {
			it := convert(v)
			if a.IsFlowStyle {
				it = rejoin(it)
			}
			n.items = append(n.items, it)
		}
	case *ast.StringNode:
		n.kind, n.text = kindString, a.Value
	case *ast.LiteralNode:
		n.kind, n.text = kindString, a.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		n.kind = kindNumber
	case *ast.BoolNode:
		n.kind = kindBool
	case *ast.NullNode:
		n.kind = kindNull
	}
	if n.kind == kindMap && !n.flow && len(n.pairs) > 0 {
		// The library gives a block map the place of its first colon.
		n.line, n.col = n.pairs[0].key.line, n.pairs[0].key.col
	}
	return n
}

func convertPair(v *ast.MappingValueNode) pair {
	key := &node{kind: kindString, line: 1, col: 1}
	if t := v.Key.GetToken(); t != nil && t.Position != nil {
		key.text, key.line, key.col = t.Value, max(t.Position.Line, 1), max(t.Position.Column, 1)
	}
	p := pair{key: key, value: convert(v.Value)}
	if p.value.kind == kindNull {
		p.value.line, p.value.col = key.line, key.col // nothing has no place of its own
	}
	return p
}

// rejoin turns the map {10.0.0.1: 8443} back into the text 10.0.0.1:8443. The
// library splits such a word at its colon when it stands in a list inside of
// braces; YAML (1.2.2 section 7.3.3) splits only where white space follows.
func rejoin(n *node) *node {
	if n.kind != kindMap || n.flow || len(n.pairs) != 1 {
		return n
	}
	k, v := n.pairs[0].key, n.pairs[0].value
	if v.kind < kindString || v.line != k.line || v.col != k.col+utf8.RuneCountInString(k.text)+1 {
		return n
	}
	return &node{kind: kindString, text: k.text + ":" + v.text, line: k.line, col: k.col}
}

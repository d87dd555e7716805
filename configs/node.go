package configs

// kind is what a node of a file is.
type kind uint8

const (
	kindNull kind = iota
	kindMap
	kindList
	kindString
	kindNumber
	kindBool
)

func (k kind) String() string {
	return [...]string{"nothing", "a section of keys", "a list", "text", "a number", "true or false"}[k]
}

// node is one value of a file with its place in it. It is all that the decoder
// knows of YAML: the library's syntax tree ends in parse.go.
type node struct {
	kind      kind
	text      string  // of a scalar, as written, without quotes
	line, col int     // where it starts, both from 1
	pairs     []pair  // of a map, in the order of the file
	items     []*node // of a list
	flow      bool    // a map or list in brackets
}

// pair is one key of a map with its value.
type pair struct {
	key   *node
	value *node
}

// get returns the value of the key called name, or nil.
func (n *node) get(name string) *node {
	for _, p := range n.pairs {
		if p.key.text == name {
			return p.value
		}
	}
	return nil
}

// lastLine returns the last line that the node has something on.
func (n *node) lastLine() int {
	last := n.line
	for _, p := range n.pairs {
		last = max(last, p.key.line, p.value.lastLine())
	}
	for _, it := range n.items {
		last = max(last, it.lastLine())
	}
	return last
}

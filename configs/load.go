package configs

import (
	"fmt"
	"slices"
)

// Load reads a file that may be a client's or an egress's, and returns one of
// the two. Which it is shows in the keys at its top.
func Load(name string) (*Client, *Egress, error) { return Input{File: name}.Load() }

// isEgress says whether more keys are of the egress's file than of the
// client's. Keys that both have do not count.
func isEgress(root *node) bool {
	ofClient, ofEgress := sides(root)
	return ofEgress > ofClient
}

// sides counts the keys at the top that only a client's file has, and those that only an egress's has.
func sides(root *node) (ofClient, ofEgress int) {
	client, egress := clientFields(&Client{}), egressFields(&Egress{})
	for _, p := range root.pairs {
		inClient := slices.ContainsFunc(client, func(f field) bool { return f.name == p.key.text })
		inEgress := slices.ContainsFunc(egress, func(f field) bool { return f.name == p.key.text })
		switch {
		case inEgress && !inClient:
			ofEgress++
		case inClient && !inEgress:
			ofClient++
		}
	}
	return ofClient, ofEgress
}

// otherSide says, in place of all that is then missing and unknown, that the file is one of the other program.
func (d *decoder) otherSide(is, want, command string) error {
	return fileProblem(d.file, fmt.Sprintf("is the file of %s, for `mpsocks %s -c %s`; here that of %s is needed", is, command, d.file, want))
}

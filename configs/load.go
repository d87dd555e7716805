package configs

import "slices"

// Load reads a file that may be a client's or an egress's, and returns one of
// the two. Which it is shows in the keys at its top.
func Load(name string) (*Client, *Egress, error) {
	text, err := readFile(name)
	if err != nil {
		return nil, nil, err
	}
	root, err := parse(name, text)
	if err != nil {
		return nil, nil, err
	}
	if isEgress(root) {
		e, err := ParseEgress(name, text)
		return nil, e, err
	}
	c, err := ParseClient(name, text)
	return c, nil, err
}

// isEgress says whether more keys are of the egress's file than of the
// client's. Keys that both have do not count.
func isEgress(root *node) bool {
	client, egress := clientFields(&Client{}), egressFields(&Egress{})
	score := 0
	for _, p := range root.pairs {
		inClient := slices.ContainsFunc(client, func(f field) bool { return f.name == p.key.text })
		inEgress := slices.ContainsFunc(egress, func(f field) bool { return f.name == p.key.text })
		switch {
		case inEgress && !inClient:
			score++
		case inClient && !inEgress:
			score--
		}
	}
	return score > 0
}

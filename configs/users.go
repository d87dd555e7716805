package configs

// maxCredential is the longest name or password that RFC 1929 section 2 can carry.
const maxCredential = 255

// users reads the people who may use the local port: a map from name to
// password, or a list of name and password. A password may be given as a
// bcrypt hash. No problem ever quotes a password.
func users(to *map[string]string) setter {
	return func(d *decoder, n *node, key string) {
		if n.kind == kindNull {
			return // everything in it is commented out
		}
		all := make(map[string]string)
		switch n.kind {
		case kindMap:
			for _, p := range n.pairs {
				d.user(all, key, p.key, p.value)
			}
		case kindList:
			for _, it := range n.items {
				d.listedUser(all, key, it)
			}
		default:
			d.problem(n, key, "must be a section of `name: password` lines, not %s", n.kind)
		}
		if len(n.pairs)+len(n.items) == 0 && n.kind != kindString {
			d.problem(n, key, "has no user in it; remove it to ask for no password")
		}
		if len(all) > 0 {
			*to = all
		}
	}
}

func (d *decoder) listedUser(all map[string]string, key string, it *node) {
	var who, pass *node
	read := func(to **node) setter { return func(_ *decoder, n *node, _ string) { *to = n } }
	d.section(it, key+"[]", []field{{name: "name", set: read(&who)}, {name: "password", set: read(&pass)}})
	switch {
	case it.kind != kindMap: // noted by section
	case who == nil || pass == nil:
		d.problem(it, key, "needs both name and password")
	default:
		d.user(all, key, who, pass)
	}
}

func (d *decoder) user(all map[string]string, key string, who, pass *node) {
	full := join(key, who.text)
	_, twice := all[who.text]
	switch {
	case who.text == "" || len(who.text) > maxCredential:
		d.problem(who, key, "a user's name must have 1 to %d characters", maxCredential)
	case twice:
		d.problem(who, full, "is given a second time")
	case pass.kind == kindMap || pass.kind == kindList || pass.kind == kindNull:
		d.problem(pass, full, "needs a password, not %s", pass.kind)
	case pass.kind != kindString:
		d.problem(pass, full, "the password is %s to YAML; put it in quotes", pass.kind)
	case pass.text == "" || len(pass.text) > maxCredential:
		d.problem(pass, full, "a password must have 1 to %d characters", maxCredential)
	default:
		all[who.text] = pass.text
	}
}

package configs

import (
	"slices"
	"strings"
)

// A Variable is one of the environment that gives a setting.
type Variable struct {
	Name    string // MPSOCKS_SOCKS_LISTEN
	Setting string // socks.listen
	Client  bool   // a client has the setting
	Egress  bool   // an egress has it
	Value   string // what it takes, in words: "one of debug, info, warn, error"
}

// Variables lists the variables of all settings, in the order of the files: first the
// client's, then what only an egress has.
func Variables() []Variable {
	all := variablesFor(clientFields(&Client{}), "")
	for i := range all {
		all[i].Client = true
	}
	for _, v := range variablesFor(egressFields(&Egress{}), "") {
		i := slices.IndexFunc(all, func(o Variable) bool { return o.Name == v.Name })
		if i < 0 {
			i = len(all)
			all = append(all, v)
		}
		all[i].Egress = true
	}
	return all
}

func variablesFor(fields []field, prefix string) []Variable {
	var all []Variable
	for _, f := range fields {
		full := join(prefix, f.name)
		if f.section != nil {
			all = append(all, variablesFor(f.section, full)...)
			continue
		}
		all = append(all, Variable{Name: variableOf(full), Setting: full, Value: valueOf(f)})
	}
	return all
}

// valueOf is what a setting takes. It is what the setting's own complaint says when it
// is given something else, so that there is one place for it.
func valueOf(f field) string {
	const before, after = "must be ", ", not "
	for _, wrong := range []node{{kind: kindMap}, {kind: kindList, items: []*node{{kind: kindMap}}}, {kind: kindBool, text: "true"}} {
		d := newDecoder("")
		f.set(d, &wrong, "")
		for _, p := range d.problems {
			_, text, ok := strings.Cut(p.Text, before)
			if end := strings.Index(text, after); ok && end > 0 {
				return listOf(text[:end])
			}
		}
	}
	return ""
}

// listOf puts it so that it is true of a single value, too, which a list may be.
func listOf(value string) string {
	for _, one := range []string{"a ", "an "} {
		if rest, ok := strings.CutPrefix(value, "a list of "+one); ok {
			return one + rest + ", or a list"
		}
	}
	return value
}

package configs

import (
	"strings"
	"testing"
)

func TestAddClient(t *testing.T) {
	c := ClientKey{Name: "phone", Key: Key{9}}
	entry := "- name: \"phone\"\n  key: " + c.Key.String() + "\n"
	in2 := strings.ReplaceAll("  "+strings.TrimSuffix(entry, "\n"), "\n", "\n  ") + "\n"
	one := "- name: a\n  key: " + exampleKey + "\n"
	for _, tc := range []struct{ name, text, want string }{
		{"at the end", "identity: k\nclients:\n" + one, "identity: k\nclients:\n" + one + entry},
		{"no last newline", "identity: k\nclients:\n" + strings.TrimSuffix(one, "\n"), "identity: k\nclients:\n" + one + entry},
		{"comments stay", "identity: k\nclients:\n" + one + "# mine\ndrain: 5s # mine\n", "identity: k\nclients:\n" + one + entry + "# mine\ndrain: 5s # mine\n"},
		{
			"indented", "clients:\n  - key: " + exampleKey + " # x\n    name: a # y\nidentity: k\n",
			"clients:\n  - key: " + exampleKey + " # x\n    name: a # y\n" + in2 + "identity: k\n",
		},
		{
			"windows", strings.ReplaceAll("clients:\n"+one+"identity: k\n", "\n", "\r\n"),
			strings.ReplaceAll("clients:\n"+one+entry+"identity: k\n", "\n", "\r\n"),
		},
	} {
		got, err := AddClient("egress.yaml", []byte(tc.text), c)
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: AddClient = %q, %v, want %q", tc.name, got, err, tc.want)
		}
	}
}

func TestAddClientRefuses(t *testing.T) {
	c := ClientKey{Name: "phone", Key: Key{9}}
	for _, tc := range []struct{ name, text, want string }{
		{"same name", "identity: k\nclients:\n- {name: phone, key: " + exampleKey + "}\n", "egress.yaml:3:1: clients: already has a client named phone"},
		{"in brackets", "identity: k\nclients: [{name: a, key: " + exampleKey + "}]\n", "egress.yaml:2:10: clients: is not a list with one entry a line; add this by hand: - name: \"phone\" |"},
		{"empty", "identity: k\nclients: []\n", "egress.yaml:2:10: clients: is not a list with one entry"},
		{"broken file", "clients: 5\n", "egress.yaml:1:1: identity: is missing"},
	} {
		if _, err := AddClient("egress.yaml", []byte(tc.text), c); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: AddClient = %v, want %q", tc.name, err, tc.want)
		}
	}
}

package configs

import (
	"slices"
	"strings"
	"testing"
)

const otherKey = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8"

// The list, the section with others, and the environment say the same.
func TestSeveralEgresses(t *testing.T) {
	section := "identity: k\negress:\n  address: [a.example:1]\n  key: " + exampleKey + "\n  choose: latency\n" +
		"  others:\n    - {name: spare, address: [b.example:1], key: " + otherKey + ", instances: 10.0.0.0/8, identity: spare.key}\n    - {address: c.example:1, key: " + otherKey + "}\n"
	list := "identity: k\negress:\n  - address: [a.example:1]\n    key: " + exampleKey + "\n    choose: latency\n" +
		"  - {name: spare, address: [b.example:1], key: " + otherKey + ", instances: 10.0.0.0/8, identity: spare.key}\n  - address: c.example:1\n    key: " + otherKey + "\n"
	environ := []string{
		"MPSOCKS_IDENTITY=k", "MPSOCKS_EGRESS_ADDRESS=a.example:1", "MPSOCKS_EGRESS_KEY=" + exampleKey, "MPSOCKS_EGRESS_CHOOSE=latency",
		"MPSOCKS_EGRESS_OTHERS=[{name: spare, address: [b.example:1], key: " + otherKey + ", instances: 10.0.0.0/8, identity: spare.key}, {address: c.example:1, key: " + otherKey + "}]",
	}
	a, err := ParseClient("client.yaml", []byte(section))
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseClient("client.yaml", []byte(list))
	if err != nil {
		t.Fatal(err)
	}
	c, err := Input{Environ: environ}.Client()
	if err != nil {
		t.Fatal(err)
	}
	for how, x := range map[string]*Client{"section": a, "list": b, "environment": c} {
		e := x.Egress
		if !slices.Equal(e.Address, []string{"a.example:1"}) || e.Choose != ChooseLatency || len(e.Others) != 2 {
			t.Fatalf("%s: %+v", how, e)
		}
		if o := e.Others[0]; o.Name != "spare" || o.Key.String() != otherKey || len(o.Instances) != 1 || o.Identity != "spare.key" {
			t.Errorf("%s: the second is %+v", how, o)
		}
		if o := e.Others[1]; !slices.Equal(o.Address, []string{"c.example:1"}) || o.Identity != "" {
			t.Errorf("%s: the third is %+v", how, o)
		}
	}
	if changes := a.Changes(b); len(changes) > 0 {
		t.Errorf("the list differs from the section by %v", changes)
	}
	plain, err := ParseClient("client.yaml", []byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(plain.Changes(a), func(c Change) bool { return c.Setting == "egress.others" && c.From == "" && c.To == "..." }) {
		t.Errorf("changes from one to several: %v, want egress.others", plain.Changes(a))
	}
}

func TestSeveralEgressesProblems(t *testing.T) {
	begin := "identity: k\negress:\n  - {address: [a.example:1], key: " + exampleKey + "}\n"
	for name, tc := range map[string]struct{ text, want string }{
		"no key":        {begin + "  - address: b.example:1\n", "client.yaml:4:5: egress.others[0]: needs an address and a key"},
		"typo":          {begin + "  - {adress: [b.example:1], key: " + otherKey + "}\n", `did you mean "address"?`},
		"not sections":  {begin + "  - b.example:1\n", "client.yaml:4:5: egress.others[0]: must be a section of keys"},
		"twice":         {begin + "  - {address: [a.example:1], key: " + otherKey + "}\n", "an egress a.example:1 is there already"},
		"too many":      {begin + strings.Repeat("  - {address: [b.example:1], key: "+otherKey+"}\n", 8), "has 8 egresses; 7 beside the first are possible"},
		"empty list":    {"identity: k\negress: []\n", "client.yaml:2"},
		"foreign first": {"identity: k\ntransport: tcp\negress:\n  - {socks5: \"socks5://p.example:1\"}\n  - {address: [b.example:1], key: " + otherKey + "}\n", "there is no other beside egress.socks5"},
		"path":          {begin + "  - {address: [b.example:1], key: " + otherKey + "}\npaths:\n  - {interface: eth0, egress: [\"1.2.3.4:5\"]}\n", "paths[0].egress: is of one egress"},
		"verify":        {strings.Replace(begin, "key: "+exampleKey, "verify: second-path", 1) + "  - {address: [b.example:1], key: " + otherKey + "}\n", "is for one egress"},
		"choose":        {begin + "  - {address: [b.example:1], key: " + otherKey + ", choose: order}\n", "egress.others[0].choose: is not a known key"},
	} {
		if _, err := ParseClient("client.yaml", []byte(tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

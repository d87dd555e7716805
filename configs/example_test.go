package configs

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The files that people read must load as they are, and every default that
// they show in a comment must be accepted when the comment sign goes.
func TestExamplesLoad(t *testing.T) {
	for _, text := range []string{exampleClient, uncomment(exampleClient)} {
		if c, err := ParseClient("client.yaml", []byte(text)); err != nil {
			t.Errorf("client.yaml: %v", err)
		} else if c.Egress.Address[0] != exampleAddress {
			t.Errorf("client.yaml: egress.address = %q", c.Egress.Address)
		}
	}
	for _, text := range []string{exampleEgress, uncomment(exampleEgress)} {
		if e, err := ParseEgress("egress.yaml", []byte(text)); err != nil {
			t.Errorf("egress.yaml: %v", err)
		} else if len(e.Clients) != 1 {
			t.Errorf("egress.yaml: clients = %v", e.Clients)
		}
	}
}

// uncomment takes the comment sign off the lines that are settings, which have
// no space behind it, and drops the short form of a setting that is there long.
func uncomment(text string) string {
	text = regexp.MustCompile(`(?m)^#(\S|  )`).ReplaceAllString(text, "$1")
	return strings.Replace(text, "\npaths: auto\n", "\n", 1)
}

// The comments show the defaults: what they say must be what an empty file gives.
func TestExamplesShowDefaults(t *testing.T) {
	full, err := ParseClient("client.yaml", []byte(uncomment(exampleClient)))
	if err != nil {
		t.Fatal(err)
	}
	bare, err := ParseClient("client.yaml", []byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	if full.Socks.Reply != bare.Socks.Reply || full.Transport != bare.Transport || full.Session != bare.Session || full.UDP != bare.UDP ||
		full.Memory != bare.Memory || full.Drain != bare.Drain || full.Admin != bare.Admin || full.Log != bare.Log ||
		!slices.Equal(full.Socks.Listen, bare.Socks.Listen) {
		t.Errorf("client.yaml shows %+v, the defaults are %+v", full, bare)
	}
	e, err := ParseEgress("egress.yaml", []byte(uncomment(exampleEgress)))
	if err != nil {
		t.Fatal(err)
	}
	d, err := ParseEgress("egress.yaml", []byte("identity: k\nclients: []\n"))
	if err != nil {
		t.Fatal(err)
	}
	if e.Limits != d.Limits || e.UDP != d.UDP || e.Bind != d.Bind || e.Session != d.Session || e.Memory != d.Memory || e.Drain != d.Drain || e.Admin != d.Admin || e.Log != d.Log || !slices.Equal(e.Listen, d.Listen) {
		t.Errorf("egress.yaml shows %+v, the defaults are %+v", e, d)
	}
}

// Every setting is named in the example files and in the README.
func TestExamplesAreComplete(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range []struct {
		file, text string
		keys       []string
	}{{"client.yaml", exampleClient, ClientKeys()}, {"egress.yaml", exampleEgress, EgressKeys()}} {
		for _, k := range set.keys {
			last := k[strings.LastIndexByte(k, '.')+1:]
			if !regexp.MustCompile(`(?m)^[ #-]*` + last + ":").MatchString(set.text) {
				t.Errorf("%s does not show %s", set.file, k)
			}
			if !strings.Contains(string(readme), "`"+k+"`") {
				t.Errorf("README.md does not name `%s` of %s", k, set.file)
			}
		}
	}
}

func TestFill(t *testing.T) {
	l := Link{Client: "x", EgressKey: Key{3}, Egress: []string{"a.example:1", "[2001:db8::1]:2"}}
	c, err := ParseClient("client.yaml", []byte(FillClient(l)))
	if err != nil || c.Egress.Key != l.EgressKey || !slices.Equal(c.Egress.Address, l.Egress) {
		t.Errorf("FillClient: %+v, %v, want the link's values", c, err)
	}
	k := ClientKey{Name: "phone", Key: Key{4}}
	listen := []string{":9", "[::1]:10"}
	e, err := ParseEgress("egress.yaml", []byte(FillEgress(listen, l.Egress, k)))
	if err != nil || !slices.Equal(e.Listen, listen) || !slices.Equal(e.Address, l.Egress) || !slices.Equal(e.Clients, []ClientKey{k}) {
		t.Errorf("FillEgress: %+v, %v, want the values given", e, err)
	}
	if strings.Contains(FillClient(l)+FillEgress(listen, l.Egress, k), "egress.example.net") {
		t.Error("filled files still have the example's address")
	}
}

package configs

import (
	_ "embed" // the example files are part of the program
	"fmt"
	"strings"
)

// The commented example files. They load without a complaint, and what init
// and join write is these files with the example's values filled in.
var (
	//go:embed client.yaml
	exampleClient string
	//go:embed egress.yaml
	exampleEgress string
)

// The values in the example files that are filled in. A test holds that each
// of the places below is in its file exactly once.
const (
	exampleAddress = "egress.example.net:8443"
	exampleKey     = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
	exampleName    = "laptop"
)

// ExampleClient returns the commented example of the client's file.
func ExampleClient() string { return exampleClient }

// ExampleEgress returns the commented example of the egress's file.
func ExampleEgress() string { return exampleEgress }

// FillClient returns the example of the client's file with the values of l.
func FillClient(l Link) string {
	return fill(exampleClient, "client.yaml",
		"    - "+exampleAddress+"\n", items("    ", l.Egress),
		"  key: "+exampleKey+"\n", "  key: "+l.EgressKey.String()+"\n",
	)
}

// FillClientUnknown returns the example of the client's file for an egress of which the addresses are known, but not the key.
func FillClientUnknown(address []string) string {
	return fill(exampleClient, "client.yaml",
		"    - "+exampleAddress+"\n", items("    ", address),
		"  key: "+exampleKey+"\n", "",
		"  # verify: "+VerifySecondPath+"\n  # pin: egress.pin\n", "  verify: "+VerifySecondPath+"\n  pin: egress.pin\n",
	)
}

// FillEgress returns the example of the egress's file with its addresses and
// one client in it.
func FillEgress(listen, address []string, c ClientKey) string {
	return fill(exampleEgress, "egress.yaml",
		"  - \":8443\"\n", items("  ", listen),
		"  - "+exampleAddress+"\n", items("  ", address),
		"  - name: "+exampleName+"\n", "  - name: "+c.Name+"\n",
		"    key: "+exampleKey+"\n", "    key: "+c.Key.String()+"\n",
	)
}

// items writes values as a YAML list; quoted, because an address may start
// with a colon or a bracket and a name may be a number.
func items(indent string, values []string) string {
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "%s- %q\n", indent, v)
	}
	return b.String()
}

// fill replaces in text each first of the pairs by its second. A place that is
// not there exactly once is a mistake in the files above, which a test finds.
func fill(text, name string, pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		if strings.Count(text, pairs[i]) != 1 {
			panic("configs: " + name + " has not exactly one " + strings.TrimSpace(pairs[i]))
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

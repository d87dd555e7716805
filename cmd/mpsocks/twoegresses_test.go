package main

import (
	"fmt"
	"testing"

	"github.com/mpsocks/mpsocks/configs"
)

// twoEgresses starts egresses that know nothing of each other, and writes the file of a client that
// has both of them, as home and spare.
func twoEgresses(t *testing.T) (client string, home, spare *daemon) {
	t.Helper()
	client, first := testFiles(t)
	other, second := testFiles(t)
	home, spare = launch(t, "egress", "-c", first), launch(t, "egress", "-c", second)
	at := func(d *daemon) string { return words(d.err.line(t, " ready "))["listen"] }
	cfg, err := configs.LoadClient(other)
	if err != nil {
		t.Fatal(err)
	}
	edit(t, client, "127.0.0.1:1\"", at(home)+"\"")
	edit(t, client, ", egress: [\"localhost:1\"]", "")
	edit(t, client, "egress:\n", fmt.Sprintf("egress:\n  name: home\n  others: [{name: spare, address: [%q], key: %s, identity: %s}]\n",
		at(spare), cfg.Egress.Key, cfg.Identity))
	return client, home, spare
}

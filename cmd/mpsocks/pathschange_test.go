package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/admin"
)

// serveChanges answers as the client of that file would, until the test ends; said
// is what it was last asked to change.
func serveChanges(t *testing.T, file string, said *string) {
	t.Helper()
	cfg, err := configs.LoadClient(file)
	if err != nil {
		t.Fatal(err)
	}
	id, err := loadIdentity(&cfg.Source, cfg.Identity)
	if err != nil {
		t.Fatal(err)
	}
	set := func(name string, c admin.PathChange) error {
		if name != "phone" {
			return fmt.Errorf("path %s: %w", name, admin.ErrNotFound)
		}
		*said = ""
		if c.Role != nil {
			*said += "role " + *c.Role
		}
		if c.Enabled != nil {
			*said += fmt.Sprint("enabled ", *c.Enabled)
		}
		return nil
	}
	serveAdminOf(t, file, admin.Config{Status: func() any { return nil }, SetPath: set, Token: id.AdminToken()})
}

func TestPathsChange(t *testing.T) {
	client, other := pairOfFiles(t, "127.0.0.1:8443")
	var said string
	serveChanges(t, client, &said)
	for _, tc := range []struct {
		words string
		code  int
		want  string // said to the client, or to the person
	}{
		{"enable phone", exitOK, "enabled true"},
		{"disable phone", exitOK, "enabled false"},
		{"set phone role=backup", exitOK, "role backup"},
		{"set cable role=backup", exitFailure, "no path cable"},
		{"set phone role=backup", exitOK, "phone: role backup, until the client ends\n"},
		{"set phone rate_limit=1500kbit/s", exitOK, "phone: rate limit 1.5 Mbit/s, until the client ends\n"},
		{"set phone role=king", exitUsage, "not one of primary"},
		{"set phone backup", exitUsage, "want KEY=VALUE"},
		{"set phone color=red", exitUsage, "can not be set"},
		{"set phone", exitUsage, "usage: mpsocks paths set"},
		{"enable", exitUsage, "usage: mpsocks paths enable"},
	} {
		said = ""
		got := mpsocks(t, "", append(append([]string{"paths"}, strings.Fields(tc.words)...), "-c", client)...)
		if got.code != tc.code || !strings.Contains(said+got.out+got.err, tc.want) {
			t.Errorf("paths %s: %+v, asked for %q, want %d with %q", tc.words, got, said, tc.code, tc.want)
		}
	}
	if got := mpsocks(t, "", "paths", "enable", "phone"); got.code != exitUsage || !strings.Contains(got.err, "--config") {
		t.Errorf("without a file: %+v", got)
	}
	if got := mpsocks(t, "", "paths", "token", "-c", client); got.code != exitOK || len(strings.TrimSpace(got.out)) != 22 {
		t.Errorf("paths token: %+v, want 22 characters", got)
	}
	if got := mpsocks(t, "", "paths", "enable", "phone", "-c", other); got.code != exitUsage {
		t.Errorf("with the file of an egress: %+v", got)
	}
	edit(t, client, "admin: {listen: \"127", "admin: {listen: off} #")
	if got := mpsocks(t, "", "paths", "enable", "phone", "-c", client); got.code != exitUsage || !strings.Contains(got.err, "admin.listen: is off") {
		t.Errorf("with the port off: %+v", got)
	}
}

package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mpsocks/mpsocks/internal/admin"
)

// serveAdmin runs an admin port until the test ends.
func serveAdmin(t *testing.T, cfg admin.Config) (addr string) {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	s, err := admin.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go call(s.Serve, done)
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-done
	})
	return s.Addr().String()
}

// serveAdminOf is serveAdmin for the port that the configuration in file names from then on.
func serveAdminOf(t *testing.T, file string, cfg admin.Config) (addr string) {
	t.Helper()
	addr = serveAdmin(t, cfg)
	dir, name := filepath.Split(file)
	write(t, dir, name, read(t, dir, name)+"\nadmin: {listen: \""+addr+"\"}\n")
	return addr
}

// serveStatus answers as a client with one path would, until the test ends.
func serveStatus(t *testing.T) (addr string) {
	t.Helper()
	status := func() any {
		return map[string]any{
			"role": "client", "session": map[string]any{"state": "up"},
			"paths": []any{map[string]any{"name": "cable", "state": "up", "reason": "carries data"}},
		}
	}
	return serveAdmin(t, admin.Config{Status: status})
}

func TestStatusAndPaths(t *testing.T) {
	addr := serveStatus(t)
	if got := mpsocks(t, "", "status", "--admin", addr); got.code != exitOK || !strings.Contains(got.out, "client   session up") || !strings.Contains(got.out, "carries data") {
		t.Errorf("status = %+v", got)
	}
	var s struct {
		Role  string
		Paths []struct{ Name string }
	}
	got := mpsocks(t, "", "status", "--admin", addr, "--json")
	if err := json.Unmarshal([]byte(got.out), &s); err != nil || s.Role != "client" || s.Paths[0].Name != "cable" {
		t.Errorf("status --json = %+v, %v", got, err)
	}
	if got := mpsocks(t, "", "paths", "--admin", addr); got.code != exitOK || !strings.HasPrefix(got.out, "PATH ") || !strings.Contains(got.out, "carries data") {
		t.Errorf("paths = %+v", got)
	}
	if got := mpsocks(t, "", "paths", "--admin", addr, "--json"); got.code != exitOK || !strings.HasPrefix(got.out, "[") {
		t.Errorf("paths --json = %+v", got)
	}
}

func TestStatusByConfig(t *testing.T) {
	client, egress := pairOfFiles(t, "127.0.0.1:8443")
	addr := serveStatus(t)
	for _, file := range []string{client, egress} {
		dir, name := filepath.Split(file)
		write(t, dir, name, read(t, dir, name)+"\nadmin: {listen: \""+addr+"\"}\n")
		if got := mpsocks(t, "", "status", "-c", file); got.code != exitOK || !strings.Contains(got.out, "cable") {
			t.Errorf("status -c %s = %+v", file, got)
		}
		edit(t, file, addr, "off")
		if got := mpsocks(t, "", "status", "-c", file); got.code != exitUsage || !strings.Contains(got.err, "admin.listen: is off") {
			t.Errorf("status -c with the port off = %+v", got)
		}
	}
}

func TestStatusOfNobody(t *testing.T) {
	got := mpsocks(t, "", "status", "--admin", "127.0.0.1:1")
	if got.code != exitFailure || !strings.Contains(got.err, "nothing answers at 127.0.0.1:1") || got.out != "" {
		t.Errorf("status of nobody = %+v, want a hint", got)
	}
}

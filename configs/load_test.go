package configs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadTellsFilesApart(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"client.yaml": exampleClient, "egress.yaml": exampleEgress, "broken.yaml": "clients: 5\nlog: 6\n"} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, e, err := Load(file)
		switch name {
		case "client.yaml":
			if err != nil || c == nil || e != nil {
				t.Errorf("Load(%s) = %v, %v, %v, want a client", name, c, e, err)
			}
		case "egress.yaml":
			if err != nil || c != nil || e == nil {
				t.Errorf("Load(%s) = %v, %v, %v, want an egress", name, c, e, err)
			}
		default:
			if err == nil || !strings.Contains(err.Error(), "the file with this egress's private key") {
				t.Errorf("Load(%s) = %v, want problems of an egress's file", name, err)
			}
		}
	}
}

package slip

import (
	"strings"
	"testing"
)

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"private", "private", 0},
		{"", "abc", 3},
		{"privat", "private", 1},   // one is missing
		{"privates", "private", 1}, // one too many
		{"pribate", "private", 1},  // another
		{"prviate", "private", 1},  // swapped
		{"plan", "private", 5},
		{strings.Repeat("a", 65), "a", 64},
	} {
		if got := Distance(tt.a, tt.b); got != tt.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if there, back := Distance(tt.a, tt.b), Distance(tt.b, tt.a); there != back {
			t.Errorf("Distance(%q, %q) = %d, the other way %d", tt.a, tt.b, there, back)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"config", "json", "Watch"}
	for name, want := range map[string]string{"confg": "config", "JSON": "json", "wtach": "Watch", "colour": "", "": ""} {
		if got := Nearest(name, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

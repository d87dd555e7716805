package bench

import (
	"strings"
	"testing"
)

func TestSelect(t *testing.T) {
	file, err := Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		words string
		want  int
		quick bool
	}{
		{"equal", 1, false},
		{"fast,equal,fast", 2, false},
		{"all", len(file) + designSize, false},
		{"random", designSize, false},
		{"random:5,equal", 6, false},
	} {
		got, quick, err := Select(strings.Split(tc.words, ","), 1)
		if err != nil || len(got) != tc.want || quick != tc.quick {
			t.Errorf("Select(%s) = %d scenarios, %v, %v; want %d, %v", tc.words, len(got), quick, err, tc.want, tc.quick)
		}
	}
	if got, quick, err := Select([]string{"quick"}, 1); err != nil || !quick || len(got) == 0 || len(got) == len(file) {
		t.Errorf("Select(quick) = %d scenarios, %v, %v", len(got), quick, err)
	}
	for _, words := range []string{"dance", "random:0", "random:many", "random:9999", "quick,equal"} {
		if _, _, err := Select(strings.Split(words, ","), 1); err == nil {
			t.Errorf("Select(%s) succeeded", words)
		}
	}
}

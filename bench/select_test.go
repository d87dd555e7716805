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
		{"random:5/2,random:5/4,equal", 3, false},
		{"random:5/2,random:5", 5, false},
	} {
		got, quick, err := Select(strings.Split(tc.words, ","), 1)
		if err != nil || len(got) != tc.want || quick != tc.quick {
			t.Errorf("Select(%s) = %d scenarios, %v, %v; want %d, %v", tc.words, len(got), quick, err, tc.want, tc.quick)
		}
	}
	if got, quick, err := Select([]string{"quick"}, 1); err != nil || !quick || len(got) == 0 || len(got) == len(file) {
		t.Errorf("Select(quick) = %d scenarios, %v, %v", len(got), quick, err)
	}
	for _, words := range []string{"dance", "random:0", "random:many", "random:9999", "quick,equal", "random:5/0", "random:5/6", "random:5/", "random:5/1,random:6/1", "random:5/1,random", "quick,random:5/1"} {
		if _, _, err := Select(strings.Split(words, ","), 1); err == nil {
			t.Errorf("Select(%s) succeeded", words)
		}
	}
	whole, _, _ := Select([]string{"random:5"}, 3)
	if one, _, err := Select([]string{"random:5/4"}, 3); err != nil || len(one) != 1 || one[0].Name != "random-004" || one[0].Title != whole[3].Title {
		t.Errorf("Select(random:5/4) = %v, %v; want point 4 of random:5", one, err)
	}
}

package mptcp

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// A stream knows which paths have carried it, at both ends, and forgets none of them when their subflow is replaced.
func TestPathNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan, wan)
		if err := w.client.SetPathRole("b", RoleBackup); err != nil {
			t.Fatal(err)
		}
		small, _ := w.stream()
		if got := small.PathNames(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("an octet beside a backup was carried by %v, want a", got)
		}
		if err := w.client.SetPathRole("b", RolePrimary); err != nil {
			t.Fatal(err)
		}
		c, s := w.stream()
		transfer(t, s, c, 1<<20)
		for end, st := range map[string]*Stream{"client": c, "server": s} {
			got := st.PathNames()
			slices.Sort(got)
			ok := slices.Equal(got, []string{"a", "b"})
			if end == "server" { // which knows address IDs: the first is 0, the other what the client has chosen
				ok = len(got) == 2 && got[0] == "addr0" && strings.HasPrefix(got[1], "addr")
			}
			if !ok {
				t.Errorf("the %s says that a download was carried by %v, want both paths", end, got)
			}
		}
		if err := w.client.RemovePath("b"); err != nil {
			t.Fatal(err)
		}
		if got := c.PathNames(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("without path b: %v, want a", got)
		}
	})
}

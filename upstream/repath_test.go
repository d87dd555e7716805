package upstream

import (
	"io"
	"net"
	"testing"
)

func TestLinesReconfigured(t *testing.T) {
	m := &machine{all: laptop()}
	eth, wlan := PathConfig{Name: "cable", Interface: "eth0"}, PathConfig{Name: "air", Interface: "wlan0"}
	ls := testLines(m, "egress.example:1", eth)
	ls.want(t, "start", []string{"~cable"}, []string{"cable"})
	before := ls.usable()[0]

	ls.configure([]PathConfig{wlan, {Name: "cable", Interface: "eth0", Role: RoleBackup}})
	ls.want(t, "one more, and a role", []string{"+air", "cable"}, []string{"air", "cable"})
	if ls.usable()[1] != before || ls.duty(before).role != RoleBackup {
		t.Error("a path of which only the role has changed is another line")
	}

	ls.configure([]PathConfig{wlan, {Name: "cable", Interface: "eth0", Egress: []string{"198.51.100.1:1"}}})
	ls.want(t, "another way under the same name", []string{"+cable", "-cable"}, []string{"air", "cable"})
	if ls.usable()[1] == before || ls.works(before, before.when) {
		t.Error("the line of the old way is still used")
	}

	ls.configure(nil)
	ls.want(t, "as discovered", []string{"+eth0", "+wlan0", "-air", "-cable"}, []string{"eth0", "wlan0"})
	kept := ls.usable()[0]
	ls.configure([]PathConfig{{Interface: "eth0"}})
	ls.want(t, "one of those by hand", []string{"-wlan0"}, []string{"eth0"})
	if ls.usable()[0] != kept {
		t.Error("what discovery has found is made anew, although nothing has changed")
	}
}

// TestSetPaths exchanges the paths below a stream that goes on.
func TestSetPaths(t *testing.T) {
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, nil)
	paths := loopbackPaths(3)
	c := startClient(t, id, e, func(cfg *ClientConfig) { cfg.Paths = paths[:2] })
	up := func(want ...string) func() bool {
		return func() bool {
			st := c.Status()
			if len(st.Paths) != len(want) {
				return false
			}
			for i, p := range st.Paths {
				if p.Name != want[i] || p.State != stateUp {
					return false
				}
			}
			return len(e.Status().Paths) == len(want)
		}
	}
	eventually(t, "two paths up", up("path1", "path2"))
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	say(t, conn, "before")

	if err := c.SetPaths(paths[1:]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another one in place of the first", up("path2", "path3"))
	say(t, conn, "one changed")

	moved := []PathConfig{{Name: "path2", Source: paths[0].Source}}
	if err := c.SetPaths(moved); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another way under the same name", func() bool {
		st := c.Status()
		host := ""
		if len(st.Paths) == 1 {
			host, _, _ = net.SplitHostPort(st.Paths[0].Local)
		}
		return host == paths[0].Source.String() && st.Paths[0].State == stateUp
	})
	say(t, conn, "all changed")

	if err := c.SetPaths([]PathConfig{{Role: "king"}}); err == nil {
		t.Error("SetPaths took a role that does not exist")
	}
	if err := c.SetPaths([]PathConfig{}); err == nil {
		t.Error("SetPaths took an empty list")
	}
	say(t, conn, "nothing changed")
}

// say sends text and wants its echo.
func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
		t.Fatalf("echo of %q: %q, %v", text, got, err)
	}
}

package archtest

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// room says which of our own packages a package may import. A name that ends
// in /... stands for everything below it too.
type room struct {
	dir string // the package, or with /... it and all below it
	may []string
}

// core are the packages that the protocol core is made of.
var core = []string{
	"mptcp/option", "mptcp/sched", "mptcp/pathman", "mptcp/internal/seq", "mptcp/internal/key",
	"mptcp/internal/wire", "mptcp/internal/bufpool", "mptcp/internal/trace", "internal/units",
}

// rooms is the plan of the house; the most exact entry counts.
var rooms = []room{
	{"cmd/...", []string{"socks", "upstream", "bench/...", "configs", "internal/...", "mptcp"}},
	{"docker/...", nil},
	{"packaging/...", nil},
	{"bench/...", []string{"bench/..."}}, // it measures what it is given and knows none of it
	{"bench/report", []string{"bench", "bench/decisions"}},
	{"bench/decisions", nil},
	{"configs", []string{"internal/slip", "internal/units"}},
	{"socks", []string{"internal/relay", "internal/tcpsock", "internal/udpsock", "internal/seldom", "internal/slip"}},
	{"upstream", []string{"mptcp", "mptcp/sched", "mptcp/pathman", "internal/tcpsock", "internal/relay", "internal/seldom", "internal/units"}},

	{"mptcp", append([]string{"mptcp/internal/...", "internal/tcpsock"}, core...)},
	{"mptcp/option", nil},
	{"mptcp/sched", nil},
	{"mptcp/pathman", []string{"mptcp/sched"}},
	{"mptcp/internal/seq", nil},
	{"mptcp/internal/bufpool", nil},
	{"mptcp/internal/trace", nil},
	{"mptcp/internal/key", []string{"mptcp/option"}},
	{"mptcp/internal/wire", []string{"mptcp/option", "mptcp/internal/seq"}},
	{"mptcp/internal/proto", core},

	{"internal/tcpsock", nil},
	{"internal/udpsock", nil},
	{"internal/seldom", nil},
	{"internal/slip", nil},
	{"internal/units", nil},
	{"internal/scavenge", nil},
	{"internal/relay", []string{"internal/tcpsock"}},
	{"internal/netsim/...", nil},
	{"internal/admin/...", []string{"internal/units"}},
	{"internal/metrics", nil},
	{"internal/dashboard", nil},
	{"internal/logging", nil},
	{"internal/doctor", nil},
	{"internal/sysproxy", nil},
	{"internal/sdnotify", nil},
	{"internal/sysservice", nil},
	{"internal/tracelog", nil},
	{"internal/archtest", nil},
}

// covers says whether pattern stands for dir.
func covers(pattern, dir string) bool {
	if below, ok := strings.CutSuffix(pattern, "/..."); ok {
		return dir == below || strings.HasPrefix(dir, below+"/")
	}
	return dir == pattern
}

// roomOf returns the most exact room of dir.
func roomOf(dir string) (room, bool) {
	best, found := room{}, false
	for _, r := range rooms {
		if covers(r.dir, dir) && (!found || len(r.dir) > len(best.dir)) {
			best, found = r, true
		}
	}
	return best, found
}

func TestWhoMayImportWhom(t *testing.T) {
	for _, f := range readProject(t) {
		r, ok := roomOf(f.dir)
		if !ok {
			t.Errorf("%s: package %s has no room in the plan; say in rooms what it may import", f.name, f.dir)
			continue
		}
		for _, imp := range f.imports {
			own, ok := strings.CutPrefix(imp, module)
			if ok && !slices.ContainsFunc(r.may, func(p string) bool { return covers(p, own) }) {
				t.Errorf("%s imports %s; %s may import only %q of this project", f.name, own, f.dir, r.may)
			}
		}
	}
}

// pure are the packages that neither wait nor know the world: same input, same
// output, on every machine and in every test.
var pure = []string{
	"mptcp/option", "mptcp/sched", "mptcp/pathman", "mptcp/internal/proto", "mptcp/internal/wire", "mptcp/internal/seq",
}

// worldly is what a pure package may not import. net/netip is only a value.
var worldly = []string{"net", "net/...", "sync/...", "os/...", "context", "syscall", "log/...", "math/rand/...", "crypto/rand", "runtime/..."}

// clock is what a pure package may not use of package time: now is an argument.
var clock = []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker"}

func TestPurePackagesStayPure(t *testing.T) {
	for _, f := range readProject(t) {
		if !slices.Contains(pure, f.dir) {
			continue
		}
		for _, imp := range f.imports {
			if imp != "net/netip" && slices.ContainsFunc(worldly, func(p string) bool { return covers(p, imp) }) {
				t.Errorf("%s imports %s; %s is pure", f.name, imp, f.dir)
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: a go statement; %s is pure", f.fset.Position(n.Pos()), f.dir)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, n.Sel.Name) {
					t.Errorf("%s: time.%s; now is an argument in %s", f.fset.Position(n.Pos()), n.Sel.Name, f.dir)
				}
			}
			return true
		})
	}
}

// The plan itself must be read as meant.
func TestRooms(t *testing.T) {
	for _, tc := range []struct {
		pattern, dir string
		want         bool
	}{
		{"net", "net", true},
		{"net", "net/http", false},
		{"net/...", "net", true},
		{"net/...", "net/http", true},
		{"net/...", "network", false},
	} {
		if got := covers(tc.pattern, tc.dir); got != tc.want {
			t.Errorf("covers(%s, %s) = %v, want %v", tc.pattern, tc.dir, got, tc.want)
		}
	}
	if _, ok := roomOf("util"); ok {
		t.Error("roomOf(util) found a room, want none")
	}
	if r, _ := roomOf("mptcp/sched"); r.dir != "mptcp/sched" {
		t.Errorf("roomOf(mptcp/sched) = %s", r.dir)
	}
}

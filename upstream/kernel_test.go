package upstream

import (
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
)

// kernelHasMPTCP reports whether this system makes MPTCP connections.
func kernelHasMPTCP() bool {
	b, err := os.ReadFile("/proc/sys/net/mptcp/enabled")
	return err == nil && strings.TrimSpace(string(b)) == "1"
}

// TestListenerServesBoth connects to one listener in both ways: what a client
// does not ask for he does not get.
func TestListenerServesBoth(t *testing.T) {
	ln, err := listenTCP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, multi := range []bool{false, true} {
		to := target{addr: ln.Addr().(*net.TCPAddr).AddrPort()}
		c, err := dialTCP(t.Context(), &to, multi)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := ln.AcceptTCP()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		// Data makes both sides sure of what they speak.
		io.WriteString(c, "x")
		io.ReadFull(s, make([]byte, 1))
		want := 0
		if multi && kernelHasMPTCP() {
			want = 1
		}
		if a, b := subflowsOf(c), subflowsOf(s); a != want || b != want {
			t.Errorf("asked for mptcp %v: subflows = %d and %d, want %d", multi, a, b, want)
		}
	}
}

func TestKernelStatus(t *testing.T) {
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, nil)
	c := startClient(t, id, e, func(c *ClientConfig) {
		c.Transport, c.Paths = TransportKernel, []PathConfig{{Name: "a", Source: netip.MustParseAddr("127.0.0.31")}}
	})
	roundTrip(t, c, "hello")
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "x")
	io.ReadFull(conn, make([]byte, 1))
	st := c.Status()
	if len(st.Paths) != 1 || st.Paths[0].Name != kernelPath || st.Session.Transport != TransportKernel {
		t.Fatalf("status = %+v, want the one path of the kernel", st)
	}
	p := st.Paths[0]
	if kernelHasMPTCP() {
		if p.Subflows != 1 || !strings.HasPrefix(p.Reason, "mptcp with 1 subflow") {
			t.Errorf("path = %+v, want mptcp and its one subflow", p)
		}
	} else if p.Subflows != 0 || !strings.HasPrefix(p.Reason, "plain tcp") {
		t.Errorf("path = %+v, want plain tcp", p)
	}
	busy := slices.IndexFunc(e.Status().Paths, func(p PathStatus) bool { return p.State == stateUp })
	if busy < 0 || e.Status().Paths[busy].Subflows != p.Subflows {
		t.Errorf("status of the egress = %+v, want a stream with %d subflows", e.Status(), p.Subflows)
	}
}

func TestKernelReason(t *testing.T) {
	for _, tc := range []struct {
		all, multi, subflows int
		want                 string
	}{
		{0, 0, 0, "not connected"},
		{3, 0, 0, "plain tcp: this system"},
		{3, 2, 2, "mptcp with 2 subflows; 1 of 3 connections are plain tcp"},
		{3, 3, 1, "mptcp with 1 subflow; others need endpoints"},
		{1, 1, 3, "mptcp with 3 subflows"},
	} {
		if got := kernelReason(tc.all, tc.multi, tc.subflows); !strings.HasPrefix(got, tc.want) {
			t.Errorf("kernelReason(%d, %d, %d) = %q, want %q", tc.all, tc.multi, tc.subflows, got, tc.want)
		}
	}
}

func TestEveryEgress(t *testing.T) {
	cfg := &ClientConfig{Egress: []string{"a:1"}, Paths: []PathConfig{
		{Name: "x", Egress: []string{"b:1", "a:1"}}, {Name: "y"}, {Name: "z", Role: RoleNever, Egress: []string{"c:1"}},
	}}
	if got, want := everyEgress(cfg), []string{"a:1", "b:1"}; !slices.Equal(got, want) {
		t.Errorf("addresses = %v, want %v", got, want)
	}
	if len(cfg.Egress) != 1 {
		t.Errorf("the configuration was changed: %v", cfg.Egress)
	}
}

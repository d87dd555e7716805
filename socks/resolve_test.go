package socks

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// lookUp asks the server on conn for a host.
func lookUp(t testing.TB, conn net.Conn, command byte, host string) (string, Reply) {
	t.Helper()
	target, err := newHost(host)
	if err != nil {
		t.Fatal(err)
	}
	h := Handshake{Target: target, command: command}
	if _, err := h.Do(t.Context(), conn); err != nil {
		return "", replyIn(err)
	}
	wantEnd(t, conn)
	return strings.TrimSuffix(h.answer.String(), ":0"), ReplySucceeded
}

func TestResolve(t *testing.T) {
	resolver := &fakeResolver{
		answers: map[string][]string{
			"ip4 both.example": {"10.0.0.1", "93.184.216.34"}, "ip6 both.example": {"2606:4700::1"},
			"ip4 old.example": {"93.184.216.34"}, "ip6 new.example": {"2606:4700::1"}, "ip4 inner.example": {"10.0.0.1"},
			"ip4 open.example": {"10.0.0.2"}, "ip4 mixed.example": {"127.0.0.1"}, "ip6 mixed.example": {"2606:4700::1"},
			"ip4 none.example": {}, "ip4 ports.example": {"93.184.216.34"}, "ip4 closed.example": {"93.184.216.34"},
		},
		names: map[string][]string{
			"93.184.216.34": {"bad name", "Good.Example."}, "2606:4700::1": {"six.example."}, "93.184.216.35": {"a\nb"},
		},
	}
	rules := mustRules(t, []string{"open.example:443", "10.0.0.9"}, []string{"closed.example", "ports.example:80", "93.184.216.99"})
	dial := startEgress(t, EgressConfig{Targets: rules, Resolver: resolver})
	tests := []struct {
		command    byte
		host, want string
		reply      Reply
		queries    int
	}{
		{commandResolve, "both.example", "93.184.216.34", 0, 2},
		{commandResolve, "BOTH.example.", "93.184.216.34", 0, 2},
		{commandResolve, "old.example", "93.184.216.34", 0, 2},
		{commandResolve, "new.example", "[2606:4700::1]", 0, 2},
		{commandResolve, "mixed.example", "[2606:4700::1]", 0, 2},
		{commandResolve, "open.example", "10.0.0.2", 0, 2},
		{commandResolve, "ports.example", "93.184.216.34", 0, 2},
		{commandResolve, "inner.example", "", ReplyNotAllowed, 2},
		{commandResolve, "closed.example", "", ReplyNotAllowed, 0},
		{commandResolve, "www.closed.example", "", ReplyNotAllowed, 0},
		{commandResolve, "none.example", "", ReplyHostUnreachable, 2},
		{commandResolve, "unknown.example", "", ReplyHostUnreachable, 2},
		{commandResolve, "93.184.216.34", "93.184.216.34", 0, 0},
		{commandResolve, "10.0.0.9", "10.0.0.9", 0, 0},
		{commandResolve, "169.254.169.254", "", ReplyNotAllowed, 0},
		{commandResolvePTR, "93.184.216.34", "good.example", 0, 1},
		{commandResolvePTR, "2606:4700::1", "six.example", 0, 1},
		{commandResolvePTR, "93.184.216.35", "", ReplyHostUnreachable, 1},
		{commandResolvePTR, "93.184.216.36", "", ReplyHostUnreachable, 1},
		{commandResolvePTR, "93.184.216.99", "", ReplyNotAllowed, 0},
		{commandResolvePTR, "10.0.0.1", "", ReplyNotAllowed, 0},
		{commandResolvePTR, "127.0.0.1", "", ReplyNotAllowed, 0},
		{commandResolvePTR, "0.0.0.0", "", ReplyNotAllowed, 0},
	}
	for _, optimistic := range modes {
		front := startFront(t, FrontConfig{Dial: dial, Optimistic: optimistic})
		for _, tt := range tests {
			before := len(resolver.queries())
			got, reply := lookUp(t, mustDial(t, front), tt.command, tt.host)
			if got != tt.want || reply != tt.reply {
				t.Errorf("%#x of %s: %q, %v; want %q, %v", tt.command, tt.host, got, reply, tt.want, tt.reply)
			}
			if asked := resolver.queries()[before:]; len(asked) != tt.queries {
				t.Errorf("%#x of %s: the resolver was asked %q, want %d queries", tt.command, tt.host, asked, tt.queries)
			}
		}
	}
}

// A resolver that does not answer costs a client no more time than a target that does not.
func TestResolveTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := NewEgress(EgressConfig{Resolver: &fakeResolver{delays: map[string]time.Duration{"ip4 a.example": -1, "ip6 a.example": -1}}})
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		served := make(chan error)
		go func() { served <- e.ServeConn(context.Background(), far, "tester") }()
		start := time.Now()
		if _, reply := lookUp(t, near, commandResolve, "a.example"); reply != ReplyHostUnreachable || time.Since(start) != defaultDialTimeout {
			t.Errorf("replied %v after %v, want host unreachable after %v", reply, time.Since(start), defaultDialTimeout)
		}
		near.Close()
		if <-served == nil {
			t.Error("no error from a look-up that failed")
		}
	})
}

// oneWayResolver finds addresses only.
type oneWayResolver struct{}

func (oneWayResolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, nil
}

func TestResolverWithoutNames(t *testing.T) {
	dial := startEgress(t, EgressConfig{Resolver: oneWayResolver{}})
	c, err := dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, reply := lookUp(t, c, commandResolvePTR, "93.184.216.34"); reply != ReplyCommandNotSupported {
		t.Errorf("replied %v", reply)
	}
}

func TestPortsThatMatter(t *testing.T) {
	for _, tt := range []struct {
		allow, deny []string
		want        string
	}{
		{nil, nil, "[1]"},
		{[]string{"10.0.0.0/8"}, []string{"*"}, "[1]"},
		{[]string{"10.0.0.0/8:22"}, []string{"*:25", "a.example:8000-8999", "b.example:9000-65535"}, "[1 22 23 25 26 8000 9000]"},
	} {
		rules := mustRules(t, tt.allow, tt.deny)
		if got := fmt.Sprint(rules.portsThatMatter()); got != tt.want {
			t.Errorf("ports of %v and %v: %s, want %s", tt.allow, tt.deny, got, tt.want)
		}
	}
	if got := new(TargetRules).portsThatMatter(); len(got) == 0 {
		t.Error("rules without entries decide for no port")
	}
}

// What a next hop answers a look-up with is looked at before anybody gets to see it.
func TestLookUpAnswers(t *testing.T) {
	for answer, want := range map[string]string{
		"\x05\x00\x05\x00\x00\x03\x03A.b\x00\x00":          "a.b:0",
		"\x05\x00\x05\x00\x00\x01\x01\x02\x03\x04\x00\x00": "1.2.3.4:0",
		"\x05\x00\x05\x00\x00\x03\x03a\nb\x00\x00":         "",
		"\x05\x00\x05\x00\x00\x03\x00\x00\x00":             "",
	} {
		h := Handshake{command: commandResolve}
		_, err := h.Receive(strings.NewReader(answer))
		if (err == nil) != (want != "") || err == nil && h.answer.String() != want {
			t.Errorf("%q: %v, %v; want %q", answer, h.answer, err, want)
		}
	}
}

package socks

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
)

func addrs(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, s := range texts {
		list = append(list, netip.MustParseAddr(s))
	}
	return list
}

func permitAll(netip.Addr) error { return nil }

func drainCandidates(c *candidates) (order []string) {
	for {
		ip, ok := c.next()
		if !ok {
			return order
		}
		order = append(order, ip.String())
	}
}

func TestCandidatesAlternate(t *testing.T) {
	var c candidates
	_ = c.add(addrs("1.1.1.1", "2.2.2.2", "3.3.3.3"), permitAll)
	_ = c.add(addrs("2001:db8::1", "2001:db8::2", "1.1.1.1", "::ffff:2.2.2.2"), permitAll)
	want := "[2001:db8::1 1.1.1.1 2001:db8::2 2.2.2.2 3.3.3.3]"
	if got := fmt.Sprint(drainCandidates(&c)); got != want {
		t.Errorf("order %s, want %s", got, want)
	}
	if !c.empty() {
		t.Error("not empty when all are taken")
	}
}

func TestCandidatesKeepTheirTurn(t *testing.T) {
	var c candidates
	_ = c.add(addrs("2001:db8::1"), permitAll)
	drainCandidates(&c)
	_ = c.add(addrs("2001:db8::2", "1.1.1.1"), permitAll)
	if got, want := fmt.Sprint(drainCandidates(&c)), "[1.1.1.1 2001:db8::2]"; got != want {
		t.Errorf("order after an IPv6 attempt %s, want %s", got, want)
	}
}

func TestCandidatesArePermitted(t *testing.T) {
	var c candidates
	refused := errors.New("refused")
	permit := func(ip netip.Addr) error {
		if ip.IsPrivate() {
			return refused
		}
		return nil
	}
	if err := c.add(addrs("10.0.0.1", "1.1.1.1", "192.168.0.1"), permit); !errors.Is(err, refused) {
		t.Errorf("add = %v, want the refusal", err)
	}
	if got := fmt.Sprint(drainCandidates(&c)); got != "[1.1.1.1]" {
		t.Errorf("candidates %s, want those permitted", got)
	}
}

func TestCandidatesAreBounded(t *testing.T) {
	var many []netip.Addr
	for i := range 1000 {
		many = append(many, netip.AddrFrom4([4]byte{1, 0, byte(i >> 8), byte(i)}))
	}
	var c candidates
	_ = c.add(many, permitAll)
	if n := len(drainCandidates(&c)); n != maxCandidates {
		t.Errorf("%d candidates, want %d", n, maxCandidates)
	}
}

func TestAskForOneFamily(t *testing.T) {
	r := &fakeResolver{answers: map[string][]string{"ip6 a.example": {"2001:db8::1"}}}
	answers := make(chan answer, 2)
	ask(context.Background(), r, "a.example", true, answers)
	ask(context.Background(), r, "a.example", false, answers)
	if a := <-answers; !a.v6 || len(a.addrs) != 1 || a.err != nil {
		t.Errorf("first answer %+v, want one IPv6 address", a)
	}
	if a := <-answers; a.v6 || a.err == nil {
		t.Errorf("second answer %+v, want an error for IPv4", a)
	}
}

package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestReason(t *testing.T) {
	for _, c := range []struct {
		err  error
		is   error
		text string
	}{
		{&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, syscall.ECONNREFUSED, "connection refused"},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}, ErrNoRoute, "no route to the egress"},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)}, errSource, ""},
		{&net.OpError{Op: "dial", Err: context.DeadlineExceeded}, context.DeadlineExceeded, "no answer: context deadline exceeded"},
		{ErrWrongEgressKey, ErrWrongEgressKey, ErrWrongEgressKey.Error()},
	} {
		got := reason(c.err)
		if !errors.Is(got, c.is) || c.text != "" && got.Error() != c.text {
			t.Errorf("reason(%v) = %v, want %q", c.err, got, c.text)
		}
	}
}

func TestErrNoRouteIsAnUnreachableNetwork(t *testing.T) {
	err := fmt.Errorf("dial: %w", ErrNoRoute)
	if !errors.Is(err, syscall.ENETUNREACH) || !errors.Is(err, ErrNoRoute) || errors.Is(err, ErrEgressDown) {
		t.Errorf("%v is not what a machine without a network says", err)
	}
}

func TestAttempts(t *testing.T) {
	a, b := errors.New("a"), errors.New("b")
	if err := (attempts{}).err(); err != nil {
		t.Errorf("no attempts: %v", err)
	}
	if err := (attempts{a}).err(); err != a {
		t.Errorf("one attempt: %v", err)
	}
	if err := (attempts{a, b}).err(); err.Error() != "a; b" || !errors.Is(err, b) {
		t.Errorf("two attempts: %v", err)
	}
}

func TestFlatten(t *testing.T) {
	a, b := errors.New("a"), errors.New("b")
	err := flatten(fmt.Errorf("x: %w", errors.Join(a, b)))
	if err.Error() != "x: a; b" || !errors.Is(err, b) {
		t.Errorf("flatten = %q", err)
	}
	if flatten(a) != a || flatten(nil) != nil {
		t.Error("flatten changes what is on one line")
	}
}

// What is wrong with all paths alike is said once.
func TestErrorsOfPaths(t *testing.T) {
	refused := errors.New("connect to 192.0.2.1:8443: connection refused")
	other := errors.New("no such interface")
	err := attempts{onPath("wlan0", refused), onPath("phone", other), onPath("cable", refused), errNothing, errNothing}
	const want = "paths cable, wlan0: connect to 192.0.2.1:8443: connection refused; path phone: no such interface; nothing to try"
	if got := err.Error(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if !errors.Is(err, refused) || !errors.Is(err, other) {
		t.Error("the causes are lost")
	}
}

package mptcp

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
)

func TestPathErrors(t *testing.T) {
	refused := fmt.Errorf("connect: %w", syscall.ECONNREFUSED)
	a, b, c := &PathError{"a", refused}, &PathError{"b", errors.New("no route")}, &PathError{"c", refused}
	const want = "paths a, c: connect: connection refused; path b: no route"
	for _, all := range []PathErrors{{a, b, c}, {c, b, a}, {b, c, a}} {
		if got := all.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if !errors.Is(all, syscall.ECONNREFUSED) {
			t.Errorf("%q is not %v", all, syscall.ECONNREFUSED)
		}
	}
	if got := (PathErrors{b}).Error(); got != "path b: no route" {
		t.Errorf("one path: %q", got)
	}
}

package lab

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	Reexec() // an ordinary user gets the tests that need namespaces too
	goleak.VerifyTestMain(m)
}

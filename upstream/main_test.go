package upstream

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(processSeed) != "" {
		os.Exit(beEgress())
	}
	goleak.VerifyTestMain(m)
}

// newIdentity is NewIdentity for tests.
func newIdentity(t testing.TB) Identity {
	t.Helper()
	id, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

package main

import (
	"net"
	"os"
	"os/exec"

	"github.com/mpsocks/mpsocks/bench/lab"
)

// programEnv makes this test binary the program itself, for tests that need
// it as a process of its own, with a network, descriptors and signals of its own.
const programEnv = "MPSOCKS_TEST_PROGRAM"

// others are what this test binary can be besides: each returns if that is not what this process was started for.
var others []func()

// beProgram is the program if that is what this process was started for, and
// does not return then. Otherwise it prepares for the tests in the path laboratory.
func beProgram() {
	if os.Getenv(programEnv) != "" {
		main()
		os.Exit(exitFailure) // main does not return
	}
	for _, be := range others {
		be()
	}
	lab.Reexec()
	// An ordinary user's tests run in a network of their own now, whose loopback
	// interface has to be started.
	if lo, err := net.InterfaceByName("lo"); err == nil && lo.Flags&net.FlagUp == 0 {
		_ = exec.Command("ip", "link", "set", "lo", "up").Run() // tests that need it say so
	}
}

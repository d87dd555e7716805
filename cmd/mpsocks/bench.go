package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/bench/lab"
)

func benchCmd(e env) *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure what transports make of network paths",
		Long: "bench measures our session beside QUIC, the kernel's MPTCP and single-path TCP: on emulated\n" +
			"paths on this machine (lab), on your own lines (live) or without any line (loopback), with the\n" +
			"same front, the same egress and the same work to do; and how sessions start (establish).",
		Example: "  mpsocks bench lab --out out            the quick set, kept in the folder out\n" +
			"  mpsocks bench lab --list               what there is to measure\n" +
			"  mpsocks bench live -c client.yaml      your own lines\n" +
			"  mpsocks bench loopback                 what the program itself costs\n" +
			"  mpsocks bench establish                how soon sessions start, and over what\n" +
			"  mpsocks bench compare A.json B.json    what changed beyond noise",
		Args: knownVerb,
		RunE: briefGroup,
	}
	c.AddCommand(benchLabCmd(e), benchLiveCmd(e), benchLoopbackCmd(e), benchEstablishCmd(e), benchSocks5Cmd(e), benchReportCmd(e), benchCompareCmd(e))
	return withUsageArgs(c)
}

// labEmulatorEnv is in the environment of this program when the path laboratory
// has started it to be an emulator.
const labEmulatorEnv = "MPSOCKS_LAB_EMULATOR"

// benchPrepare is to be called first in main. Where args ask for a path
// laboratory, the program may have to become root of a user namespace; and the
// laboratory starts it again to emulate paths. In those processes
// benchPrepare does not return.
func benchPrepare(args []string) {
	if len(args) > 2 && args[1] == "bench" && (args[2] == "lab" || args[2] == establishVerb) || os.Getenv(labEmulatorEnv) != "" {
		lab.Reexec()
	}
}

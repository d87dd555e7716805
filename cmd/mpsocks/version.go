package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker in builds of the Makefile.
var version = ""

func versionCmd(e env) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  mpsocks version",
		Args:    noArgs,
		Run: func(*cobra.Command, []string) {
			fmt.Fprintln(e.out, versionLine())
		},
	}
}

// versionLine is what `mpsocks version` and `mpsocks --version` print.
func versionLine() string {
	return fmt.Sprintf("mpsocks %s (%s, %s/%s)", versionText(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// versionText is what the linker set, or what `go install` left in the binary.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

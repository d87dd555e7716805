// Command mpsocks is a local proxy that carries every connection over all
// network paths at once to a remote egress, and that egress.
//
// This package is flags, signals and wiring, one file a verb; what the program
// does is done by the packages it imports.
//
// Exit codes: 0 success, 1 something went wrong while running, 2 the command
// line or a configuration file is wrong.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	benchPrepare(os.Args)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	// A log reader that goes away must not take the proxy with it: writing to
	// a broken pipe is an error then, not the end.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(asService(os.Args[1:], env{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, signals: signals, again: again, color: isTerminal(os.Stderr), screen: isTerminal(os.Stdout), name: os.Args[0],
		environ: os.Environ(),
	}, signals))
}

// isTerminal says whether f is a screen that understands colours.
func isTerminal(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

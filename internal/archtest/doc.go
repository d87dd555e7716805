// Package archtest holds the test that keeps the house in order: which package
// may import which, and what the pure ones may not touch. Arrows point down
// only: cmd -> socks, upstream, bench, configs -> mptcp -> its core.
//
// The test reads the import lines of every file, for all platforms, so that a
// file that this machine does not compile is held to the same rules.
package archtest

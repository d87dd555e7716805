// Package decisions reads what a session's scheduler decided in a turn of a bench
// run, as docs/trace.md describes it, and says for each path and over time what it
// was given and why, and why it was given nothing.
//
// A trace may come from a stranger and be of any size: a reader takes so many
// lines, of so many paths, and says when there were more. What it does not know it
// skips. Nothing here draws; package report does.
package decisions

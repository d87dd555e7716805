// Package sysproxy sets the proxy of the desktop that a person uses, and puts back
// what was there before.
//
// # Words
//
// A desktop is one place where programs look: macOS's network services, GNOME's and
// KDE's settings, Windows' Internet Settings. It has values by key. A change is a
// key, the value it had and the value it got. All changes that are in force stand in
// a state file, which is written before the first of them is made: whatever happens
// then, they can be taken back.
//
// # What is put back
//
// A key that still has the value it was given gets its former one. A key that
// somebody has changed meanwhile is theirs, and is left. What is remembered as former
// is never what was set from here: not what an earlier run that was killed has left,
// and not, where even the state file is lost, a setting that is the very same.
//
// # Concurrency and limits
//
// A Manager is for one goroutine. Two programs that set at the same moment are not
// kept apart. Network services that appear later are not set.
package sysproxy

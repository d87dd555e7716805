// Package netsim is a network in memory for tests: paths between two ends that carry ordered, reliable byte streams, as an application sees TCP.
//
// A Path has a Link each way with a rate, a delay and the room a sender has. All connections over a path share its links, segment by segment. A
// Listener takes connections at the far end; dialling takes a round trip. A path can be cut, silently and in one direction or both: what was
// under way and what is written from then on waits, as with a TCP that repeats itself in vain, and goes on once the path heals. Reset breaks the
// connections there are, as a middlebox does.
//
// What TCP shows to an application is kept: a write waits while too much is unread, an end arrives after the data, closing with unread data or
// writing to what is closed resets the connection, a reset does not survive a cut. What TCP does below that is not here: no loss, no congestion
// window, no retransmission timer; after a cut there is no wait for the next repetition. Acknowledgements take no time: only data is held by a
// cut in its own direction.
//
// There are no sockets and no goroutines, and waiting is done by sync.Cond, channels and timers only: in a testing/synctest bubble all of
// it happens in virtual time.
package netsim

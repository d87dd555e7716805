// Package upstream is the way between client and egress: the paths a machine
// has, the TLS connections over them, the client that keeps one healthy session
// and gives out streams, and the egress that takes them.
//
// A path is one way to the egress: a local interface or source address and one
// or more addresses of the egress. A carrier is one TLS 1.3 connection over a
// path. Both ends are known by Ed25519 public keys that are pinned in the
// configuration; there is no certificate authority, and the clock is not asked.
//
// With the transport "mptcp" all carriers together are one session (package mptcp)
// and a stream uses all of them. The others are there to compare with. With "tcp" a
// stream is a carrier of its own over the best path that works, and with "kernel"
// one over the system's MPTCP; some are kept ready. With "quic" a stream is a stream
// of a QUIC connection that moves to another path when its own dies, and with
// "quic-multi" of one of several, one for each path.
//
// Client and Egress may be used by several goroutines at once. Each owns the
// goroutines it starts and ends them in Close and Shutdown.
package upstream

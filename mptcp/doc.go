// Package mptcp is a multipath session in user space: RFC 8684's data level, with many streams, over subflows that are ordinary encrypted TCP
// connections on as many network paths as there are. It needs no kernel support and no privileges.
//
// A client calls Dial with its paths and opens streams; an egress gives every accepted connection to Listener.Handle and takes sessions from
// Accept. A Stream is a net.Conn with half-close. A session outlives its subflows: it dials lost paths again by itself, and what was on its way on
// a path that died or fell silent goes out on the others.
//
// # Words
//
// Session is an MPTCP connection in RFC 8684's sense that carries many streams. Path is a way to the peer with a name and a role. Subflow is the
// connection on a path. Carrier is what a subflow runs on. Stream is one application connection.
//
// # Concurrency
//
// All methods may be called from any goroutine. Lock order: a stream's own reader and writer locks come before its session's mu; nothing blocks
// while mu is held. Every subflow has one goroutine that reads and one that writes; reading never waits for writing.
//
// # Security
//
// The package expects carriers that encrypt and authenticate; it binds joins to their channel (Carrier.Binding), so that what was learnt on one
// connection is worth nothing on another.
package mptcp

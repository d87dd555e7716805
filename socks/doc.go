// Package socks is both ends of the SOCKS side: the local endpoint that
// applications connect to (Front), and the egress that connects to their targets
// (Egress). What lies between them is a function that yields a fresh connection to
// the egress; the package knows nothing of how.
//
// # Words
//
// A front takes connections of clients. A handshake is everything up to a request
// that is understood and permitted; a door is the protocol the client chose for it
// with its first bytes. A request names a target: a host name or an address, and a
// port. A flight is what the front sends to the egress in one write: greeting,
// request and whatever the client has already sent. A reply is a SOCKS5 reply code
// (RFC 1928 section 6); one table turns errors into replies and one turns replies
// into HTTP status codes.
//
// # Where names are resolved
//
// At the egress, never here. Names that are the text of an address count as that
// address at both ends; the old numeric forms (127.1, 0x7f000001) are no names and
// no addresses.
//
// # Datagrams
//
// An association is a client's UDP ASSOCIATE: at the front a port beside the one that the client has connected to, at the egress a
// socket of its own, and between them the stream that it was asked for on. Its datagrams go beside that stream if it can carry some
// (Datagrams, SendDatagram and ReceiveDatagram, as *mptcp.Stream has them), and within it otherwise.
//
// # Concurrency
//
// Front and Egress may be used by several goroutines at once. Every connection is
// served by the goroutine of its own plus those that its handler starts and waits
// for.
//
// # Limits
//
// RESOLVE and RESOLVE_PTR (Tor's 0xf0 and 0xf1) look up at the egress, what its rules
// would let a client connect to. UDP ASSOCIATE takes no fragments, and BIND is for egresses that are told so. SOCKS4 and 4a
// have CONNECT only, and are refused where passwords are wanted. Plain HTTP requests
// are forwarded for http URLs only.
package socks

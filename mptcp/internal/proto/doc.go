// Package proto is the session as a state machine: MPTCP's data level (RFC 8684, section 3.3) with many streams in one session.
//
// It does no I/O, reads no clock, takes no lock, starts no goroutine and has no random source but a seed: the driver (package mptcp) hands
// it records, application octets and the time, and takes records, events and the next deadline from it. Calls must not overlap. After every
// call that changes something the driver drains Events, asks Ready for every idle subflow, and re-arms its timer from Deadline.
//
// # Words
//
// A stream has a data sequence space per direction. A piece is a range of it that was bound to a subflow as one mapping; a piece
// is reinjected as a whole or cut in two, never changed. A record that the peer must answer for is kept on its subflow until a Report
// of the peer covers it: the counterpart of a TCP acknowledgement, from which round-trip times, rates and silence are known.
//
// # Files
//
// session: what all streams share. subflow, health, rate: one path's state. send, reinject: the next record for a subflow.
// sendbuf, flight: octets not yet acknowledged, and where they are. receive, recvbuf: a record's way in. stream, closing: one
// stream and its end. flow: credit. control: what is not data. decisions: what of all this is traced, and why.
// handshake: MP_CAPABLE and MP_JOIN. addr: ADD_ADDR and REMOVE_ADDR.
package proto

// Package bench measures what transports make of network paths: our session,
// QUIC, the kernel's MPTCP and single-path TCP, on the same lines, with the same
// front, the same egress and the same work to do, so that only the transport
// differs. It drives what it is given; it knows no transport.
//
// # Words
//
// A scenario is a set of lines, a workload something that people do with them, a
// transport what is measured. A turn is one transport in one scenario, once; a
// run is one workload in a turn. A stage is a transport that is set up and ready;
// a site is where that happens: a path laboratory with a target, or the user's
// own lines. A reference is single-path TCP over one path alone: it tells what
// the path carries.
//
// # Figures
//
// Every byte of every workload is checked at the end where it arrives; a wrong
// one makes the run fail. A run during which something else kept the machine busy
// is marked, repeated, and counts only where nothing better is to be had. Medians
// come with a bootstrap confidence interval.
//
// # Concurrency
//
// A Runner is for one Run at a time. A Target serves any number of connections.
package bench

// Package lab is the path laboratory: a client and a server in two network
// namespaces, joined by emulated paths, on one ordinary Linux machine. Real
// programs with real kernel TCP, kernel MPTCP and QUIC run in it; integration
// tests and the benchmark use it through this package, people and shell
// scripts through the command labrun.
//
// # What a lab looks like
//
//	namespace NAME-client                       namespace NAME-server
//	path0  10.1.1.1/24  ── up: policer, loss, queue, rate, delay ──>  path0  10.1.1.2/24
//	                    <── down: the same, set on its own ────────
//	path1  10.2.1.1/24  ──────────────── ... ──────────────────────   path1  10.2.1.2/24
//	                                                                  lo     10.99.0.1/32 (targets)
//
// In the client a source address or a bound interface chooses the path; with
// neither, the first path that is up is the default route. Every address of the
// server is reachable over every path, and the server answers on the path that
// it was asked on. Nothing leads out of the two namespaces.
//
// # How packets travel
//
// Each path ends in a device of each namespace. What one kernel sends, the
// emulator (one thread of this process) reads, cuts into packets of the size
// that a wire would see, and passes through the policer, the loss models, the
// drop-tail queue, the serialiser and the delay line of that direction; then
// the other kernel gets it, neighbours of one original joined again where they
// are due together. Rates count IP packet bytes, so TCP's goodput is at most
// 1448/1500 of the rate. The default queue is one bandwidth-delay product, at
// least 64 KiB.
//
// The emulator is a process of its own: the program started again, which is why
// main and TestMain call Reexec first. It asks for real-time scheduling (root
// only) and for exact timers. The programs under test share the machine with
// it: on a machine that is busy with something else, numbers are worth little.
// LinkStats.Late counts the packets that were delivered late, so that a runner
// can tell a disturbed measurement; SelfCheck (labrun -check 3s) prints set
// against measured.
//
// Devices are TUN devices with segmentation offload or, where /dev/net/tun may
// not be opened, veth pairs with packet sockets on the far side. What the
// emulator does not do can be had inside the namespaces: `nft` for middleboxes
// that strip options, for example.
//
// # By hand
//
//	go build -o labrun ./bench/lab/labrun
//	./labrun -path 20M/30ms -path 50M/20ms,up.rate=10M,loss=1% -keep
//
// prints how to enter the namespaces (as root also `ip netns exec lab-client
// CMD`) and takes commands on standard input and by `labrun ctl SOCKET COMMAND`:
//
//	down 0          silent blackhole of path 0, both ways
//	down 0 up       only client to server
//	up 0            end of it
//	rate 0 5M down  new rate, server to client
//	rtt 1 80ms      new round trip
//	loss 1 1%       random loss
//	queue 1 500ms   500 ms of it; also 64k (bytes) or 2bdp
//	ifdown 1        the client's interface; ifup 1
//	addr 1 10.2.1.7 new client address
//	reset 0         reset the TCP connections on path 0
//	stats           counters; cpu for the emulator's processor time
//	quit
//
// A script gets the same by
//
//	./labrun -path 20M/30ms -path 20M/30ms -run ./script.sh
//
// with these in its environment, to be used unquoted:
//
//	$LAB_SERVER ./egress & $LAB_CLIENT curl ... ; $LAB_CTL down 0
//
// labrun ends with the script's exit code, and takes everything away at its
// end and on signals. An ordinary user needs no root where user namespaces
// are allowed: the program runs itself again in one (Reexec).
//
// # In Go
//
//	lab.Reexec() // first in main or TestMain
//	l, err := lab.New(lab.Config{Paths: []lab.Path{
//		{Up: lab.Link{Rate: 20e6, Delay: 15 * time.Millisecond}, Down: lab.Link{Rate: 20e6, Delay: 15 * time.Millisecond}},
//	}})
//	defer l.Close()
//	ln, err := l.Server().Listen("tcp", "10.99.0.1:80")
//	c, err := l.Client().Dial(ctx, "tcp", "10.99.0.1:80")
//	l.Path(0).SetDown(lab.BothWays)
//
// The methods of Lab, Namespace and PathControl are safe for concurrent use.
package lab

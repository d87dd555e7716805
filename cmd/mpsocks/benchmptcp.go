package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/mpsocks/mpsocks/bench/lab"
)

// mptcpCounts are counters of the kernel's MPTCP in a namespace.
type mptcpCounts struct {
	known                   bool
	active, joins, fallback int64
	joined                  int64 // subflows of others that have joined, at a listener
}

// countMPTCP reads the client's counters.
func (s *benchStage) countMPTCP() mptcpCounts { return countMPTCPIn(s.lab.Client()) }

// countMPTCPIn reads those of a namespace.
func countMPTCPIn(n *lab.Namespace) mptcpCounts {
	var c mptcpCounts
	_ = n.Do(func() error { // unknown is unknown
		text, err := os.ReadFile("/proc/thread-self/net/netstat")
		c = parseMPTCP(string(text))
		return err
	})
	return c
}

// countHostMPTCP reads those of the namespace that this process is in.
func countHostMPTCP() mptcpCounts {
	text, err := os.ReadFile("/proc/self/net/netstat")
	if err != nil {
		return mptcpCounts{}
	}
	return parseMPTCP(string(text))
}

// parseMPTCP reads the MPTcpExt lines of /proc/net/netstat: one of names, then
// one of values.
func parseMPTCP(text string) mptcpCounts {
	var names []string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "MPTcpExt:" {
			continue
		}
		if names == nil {
			names = f
			continue
		}
		v := make(map[string]int64)
		for i := 1; i < min(len(f), len(names)); i++ {
			v[names[i]], _ = strconv.ParseInt(f[i], 10, 64) // zero is as good as nothing
		}
		return mptcpCounts{
			known: true, active: v["MPCapableSYNTX"], joins: v["MPJoinSynAckRx"],
			fallback: v["MPCapableFallbackACK"] + v["MPCapableFallbackSYNACK"],
			joined:   v["MPJoinAckRx"],
		}
	}
	return mptcpCounts{}
}

// since is what happened between two readings, in words.
func (c mptcpCounts) since(before mptcpCounts) string {
	if !c.known {
		return "this kernel has no MPTCP: what was measured is plain TCP"
	}
	opened, joins, fallback := c.active-before.active, c.joins-before.joins, c.fallback-before.fallback
	if opened == 0 {
		return "no connection asked for MPTCP: what was measured is plain TCP"
	}
	// Short connections end before they have all of theirs: halves will do.
	per := math.Round(2*float64(joins)/float64(opened))/2 + 1
	text := fmt.Sprintf("really MPTCP, about %g subflows a connection", per)
	if fallback > 0 {
		text += fmt.Sprintf("; %d of %d connections fell back to TCP", fallback, opened)
	}
	return text
}

package main

import (
	"testing"
)

// TestLab runs the program between two network namespaces that emulated paths
// join. What the figures in its log are worth depends on how busy the machine
// is; nothing is decided by them.
func TestLab(t *testing.T) {
	t.Run("equal paths", testLabEqual)
	t.Run("unequal paths", testLabUnequal)
	t.Run("strangers and replies", testLabEdges)
	t.Run("datagrams", testLabUDP)
	t.Run("rules", testLabRules)
	t.Run("roaming", testLabRoaming)
	t.Run("outages", testLabOutages)
	t.Run("portal and NAT", testLabNAT)
	t.Run("first contact", testLabFirstContact)
	t.Run("sleep", testLabSleep)
	t.Run("default route", testLabRoute)
}

// testLabEqual has two paths bound by source, and most of what befalls paths.
func testLabEqual(t *testing.T) {
	t.Parallel()
	b := newBed(t, bedConfig{paths: []string{"20M/30ms", "20M/30ms"}})
	t.Run("transfer", b.testTransfer)
	t.Run("blackhole", b.testBlackhole)
	if testing.Short() {
		return
	}
	t.Run("one way", b.testOneWay)
	t.Run("outage", b.testOutage)
	t.Run("reset", b.testReset)
	t.Run("loss", b.testLoss)
	t.Run("corruption", b.testCorruption)
	t.Run("end", b.testEnd)
}

// testLabUnequal has paths bound by interface, and what befalls interfaces.
func testLabUnequal(t *testing.T) {
	if testing.Short() {
		t.Skip("-short runs equal paths only")
	}
	t.Parallel()
	b := newBed(t, bedConfig{paths: []string{"50M/20ms", "10M/80ms"}, byInterface: true})
	t.Run("transfer", b.testTransfer)
	t.Run("interface", b.testInterface)
	t.Run("address", b.testAddress)
	t.Run("many", b.testMany)
	t.Run("end", b.testEnd)
}

// testLabEdges has what happens at the two ends rather than between them.
func testLabEdges(t *testing.T) {
	if testing.Short() {
		t.Skip("-short runs equal paths only")
	}
	t.Parallel()
	b := newBed(t, bedConfig{paths: []string{"20M/30ms", "20M/30ms"}, more: "drain: 60s\n"})
	t.Run("replies", b.testReplies)
	t.Run("strangers", b.testStrangers)
	t.Run("crash", b.testCrash)
	t.Run("drain of egress", b.testDrainEgress)
	t.Run("drain of client", b.testDrainClient)
}

// testLabRoaming has paths that come and go, and what their owner wants of them.
func testLabRoaming(t *testing.T) {
	if testing.Short() {
		t.Skip("-short runs equal paths only")
	}
	t.Parallel()
	b := newBed(t, bedConfig{paths: []string{"20M/30ms", "20M/40ms"}, byInterface: true})
	t.Run("limit", b.testRateLimit)
	t.Run("overflow", b.testOverflow)
	t.Run("walk", b.testWalk)
	t.Run("flaps", b.testFlaps)
	t.Run("end", b.testEnd)
}

// testLabOutages has nothing at all for a while, an egress that ends, and paths that are not to be trusted or have cost enough.
func testLabOutages(t *testing.T) {
	if testing.Short() {
		t.Skip("-short runs equal paths only")
	}
	t.Parallel()
	b := newBed(t, bedConfig{paths: []string{"20M/30ms", "20M/40ms"}, byInterface: true})
	t.Run("outages", b.testOutages)
	t.Run("rewritten", b.testRewritten)
	t.Run("restart", b.testRestart)
	t.Run("cap", b.testCap)
	t.Run("end", b.testEnd)
}

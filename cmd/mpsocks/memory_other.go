//go:build !linux

package main

// machineMemory stands for the memory of a small machine of today, where asking
// takes more than it is worth: 4 GiB.
func machineMemory() int64 { return 4 << 30 }

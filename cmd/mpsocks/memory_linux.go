package main

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// machineMemory is the memory this program can count on, in bytes: the machine's, or what its
// control group leaves of that.
func machineMemory() int64 {
	var info unix.Sysinfo_t
	total := int64(maxAutoMemory) * 16
	if unix.Sysinfo(&info) == nil {
		total = int64(info.Totalram) * int64(info.Unit) // 32 bits wide on some platforms
	}
	limit, err := os.ReadFile("/sys/fs/cgroup/memory.max")
	if err != nil {
		return total
	}
	if n, err := strconv.ParseInt(strings.TrimSpace(string(limit)), 10, 64); err == nil {
		total = min(total, n)
	}
	return total
}

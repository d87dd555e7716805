package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of processor times in /proc, the same on all of Linux's
// architectures.
const tick = 10 * time.Millisecond

// machineUse is what all processes together had used at a moment. Work in
// interrupts is left out: most of it is for the packets of the lines. So is what
// programs did that give way to all others (nice(1)): they take what is left.
type machineUse struct {
	known        bool
	busy, stolen time.Duration
}

// readMachine reads /proc/stat; where there is none nothing is known.
func readMachine() machineUse {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machineUse{}
	}
	return parseMachine(text)
}

// parseMachine reads the first line of /proc/stat (proc_stat(5)): cpu user
// nice system idle iowait irq softirq steal.
func parseMachine(text []byte) machineUse {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	f := strings.Fields(string(line))
	if len(f) < 9 || f[0] != "cpu" {
		return machineUse{}
	}
	var v [9]time.Duration
	for i := 1; i < 9; i++ {
		n, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			return machineUse{}
		}
		v[i] = time.Duration(n) * tick
	}
	return machineUse{known: true, busy: v[1] + v[3], stolen: v[8]}
}

// From here on a run counts as disturbed: shares of one processor, over the
// whole run.
const (
	otherLimit = 0.15
	stealLimit = 0.05
)

// disturbance is how many processors something else kept busy, and in words
// whether that was too much. ours is what the measurement itself used.
func disturbance(before, after machineUse, ours, took time.Duration) (float64, string) {
	if !before.known || !after.known || took <= 0 {
		return 0, ""
	}
	other := max(0, (after.busy-before.busy-ours).Seconds()/took.Seconds())
	steal := (after.stolen - before.stolen).Seconds() / took.Seconds()
	other = round(other, 3)
	// A tick more or less per processor is not to be told from nothing.
	noise := 4 * tick.Seconds() / took.Seconds()
	switch {
	case other > otherLimit+noise:
		return other, fmt.Sprintf("other programs used %.0f %% of a processor", 100*other)
	case steal > stealLimit+noise:
		return other, fmt.Sprintf("the host took away %.0f %% of a processor", 100*steal)
	}
	return other, ""
}

// ProcessUsage reads what a process of this machine has used; zero where that
// is not known.
func ProcessUsage(pid int) Usage {
	var u Usage
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		u.CPU = parseProcessCPU(text)
	}
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
		u.Peak = parsePeak(text)
	}
	return u
}

// parseProcessCPU reads utime and stime, fields 14 and 15 of /proc/PID/stat
// (proc_pid_stat(5)), counted behind the name, which may hold anything.
func parseProcessCPU(text []byte) time.Duration {
	i := bytes.LastIndexByte(text, ')')
	f := strings.Fields(string(text[i+1:]))
	if i < 0 || len(f) < 13 {
		return 0
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0
	}
	return time.Duration(user+system) * tick
}

// parsePeak reads VmHWM of /proc/PID/status.
func parsePeak(text []byte) int64 {
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == "VmHWM:" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			if err == nil {
				return kib << 10
			}
		}
	}
	return 0
}

// ResetProcessPeak makes the peak of a process's memory start again from what
// it has now (proc_pid_clear_refs(5)).
func ResetProcessPeak(pid int) {
	// Where it is not possible the peak is that since the start.
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

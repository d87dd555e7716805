package lab

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"
)

// What SelfCheck calls good: the promises of this package.
const (
	rttTolerance  = time.Millisecond
	rateTolerance = 0.02
)

// SelfCheck measures the lab, as Measure does, and prints set against measured.
// A line that ends in "off" says that this machine, as busy as it is now, does
// not keep what was set.
func SelfCheck(ctx context.Context, l *Lab, w io.Writer, d time.Duration) (Report, error) {
	r, err := Measure(ctx, l, d)
	for i, m := range r.Paths {
		p := l.Path(i)
		up, down := p.Link(Uplink), p.Link(Downlink)
		rtt := up.Delay + down.Delay + probeTime(up) + probeTime(down)
		fmt.Fprintf(w, "%-8s      rtt  due %8.3f  measured %8.3f ms (least %.3f)  %s\n", m.Path, millis(rtt), millis(m.RTTMid), millis(m.RTTMin),
			verdict(m.RTTMid-rtt <= rttTolerance && rtt-m.RTTMid <= rttTolerance))
		printWay(w, m.Path, "up", up, m.UpRate, m.UpTCP, m.UpLoss)
		printWay(w, m.Path, "down", down, m.DownRate, m.DownTCP, m.DownLoss)
	}
	if err != nil {
		return r, err
	}
	fmt.Fprintf(w, "all      up    tcp  %.2f Mbit/s, emulator %.0f %% of a processor\n", r.UpTCP/1e6, 100*r.UpBusy)
	fmt.Fprintf(w, "all      down  tcp  %.2f Mbit/s, emulator %.0f %% of a processor\n", r.DownTCP/1e6, 100*r.DownBusy)
	printLate(w, l)
	return r, nil
}

// printLate prints how punctual the emulator was.
func printLate(w io.Writer, l *Lab) {
	var packets, late uint64
	var most time.Duration
	for _, p := range l.Paths() {
		s := p.Stats()
		packets += s.Up.OutPackets + s.Down.OutPackets
		late += s.Up.Late + s.Down.Late
		most = max(most, s.Up.MaxLate, s.Down.MaxLate)
	}
	fmt.Fprintf(w, "emulator late by more than %v: %d of %d packets, by %v at most\n", lateness, late, packets, most.Round(time.Microsecond))
}

// printWay prints what one direction of a path did.
func printWay(w io.Writer, path, way string, set Link, rate, tcp, loss float64) {
	if set.Rate > 0 {
		off := (rate - float64(set.Rate)) / float64(set.Rate)
		fmt.Fprintf(w, "%-8s %-4s rate  set %8.3f  measured %8.3f Mbit/s (%+.2f %%)  %s\n", path, way, float64(set.Rate)/1e6, rate/1e6, 100*off,
			verdict(math.Abs(off) <= rateTolerance))
		fmt.Fprintf(w, "%-8s %-4s loss  set %8.3f  measured %8.3f %%\n", path, way, 100*set.Loss, 100*loss)
	}
	fmt.Fprintf(w, "%-8s %-4s tcp   %.3f Mbit/s of payload\n", path, way, tcp/1e6)
}

// probeTime is how long a link needs to send a probe.
func probeTime(l Link) time.Duration {
	if l.Rate <= 0 {
		return 0
	}
	return time.Duration((echoPayload + probeHeader) * 8 * int64(time.Second) / l.Rate)
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func verdict(good bool) string {
	if good {
		return "ok"
	}
	return "off"
}

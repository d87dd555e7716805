package lab

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParsePath reads a path in the notation of labrun and scenario files:
//
//	RATE/RTT[,KEY=VALUE]...
//
// RTT is the round trip, half of it each way. Each key of a Link (rate, delay,
// jitter, loss, burst, queue, police, reorder, duplicate, corrupt, biterror,
// mtu, refuse) counts for both directions, or for one as up.KEY or down.KEY. name=N
// names the path and device.mtu=N sets the MTU of its interfaces.
//
//	20M/30ms
//	50M/20ms,up.rate=10M,loss=1%,queue=64k
func ParsePath(s string) (Path, error) {
	var p Path
	head, rest, _ := strings.Cut(s, ",")
	rate, rtt, ok := strings.Cut(head, "/")
	if !ok {
		return p, fmt.Errorf("path %q: want RATE/RTT, such as 20M/30ms", s)
	}
	if err := p.set("rate", rate); err != nil {
		return p, fmt.Errorf("path %q: %w", s, err)
	}
	if err := p.set("rtt", rtt); err != nil {
		return p, fmt.Errorf("path %q: %w", s, err)
	}
	for opt := range strings.SplitSeq(rest, ",") {
		if opt == "" {
			continue
		}
		k, v, _ := strings.Cut(opt, "=")
		if err := p.set(k, v); err != nil {
			return p, fmt.Errorf("path %q: %w", s, err)
		}
	}
	return p, nil
}

// set applies one key of the path notation.
func (p *Path) set(key, value string) error {
	dir := BothWays
	if k, ok := strings.CutPrefix(key, "up."); ok {
		key, dir = k, Uplink
	} else if k, ok := strings.CutPrefix(key, "down."); ok {
		key, dir = k, Downlink
	}
	switch key {
	case "name":
		p.Name = value
		return nil
	case "device.mtu":
		n, err := strconv.Atoi(value)
		p.MTU = n
		return err
	}
	return p.each(dir, func(l *Link) error { return l.set(key, value) })
}

// each calls f for the links of the path in the directions of d.
func (p *Path) each(d Direction, f func(*Link) error) error {
	if d&Uplink != 0 {
		if err := f(&p.Up); err != nil {
			return err
		}
	}
	if d&Downlink != 0 {
		return f(&p.Down)
	}
	return nil
}

// set applies one key of the path notation to a link.
func (l *Link) set(key, value string) error {
	f, ok := linkKeys[key]
	if !ok {
		return fmt.Errorf("%s: no such setting of a link", key)
	}
	if err := f(l, value); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return l.validate()
}

var linkKeys = map[string]func(*Link, string) error{
	"rate":      func(l *Link, v string) error { return store(&l.Rate, ParseRate, v) },
	"delay":     func(l *Link, v string) error { return store(&l.Delay, parseTime, v) },
	"jitter":    func(l *Link, v string) error { return store(&l.Jitter, parseTime, v) },
	"loss":      func(l *Link, v string) error { return store(&l.Loss, parseShare, v) },
	"burst":     setBurst,
	"queue":     setQueue,
	"police":    setPolice,
	"reorder":   setReorder,
	"duplicate": func(l *Link, v string) error { return store(&l.Duplicate, parseShare, v) },
	"corrupt":   func(l *Link, v string) error { return store(&l.Corrupt, parseShare, v) },
	"biterror":  func(l *Link, v string) error { return store(&l.BitError, parseShare, v) },
	"mtu":       func(l *Link, v string) error { return store(&l.MTU, strconv.Atoi, v) },
	"refuse":    func(l *Link, v string) error { return store(&l.Refuse, parseSwitch, v) },
	"rtt": func(l *Link, v string) error {
		d, err := parseTime(v)
		l.Delay = d / 2
		return err
	},
}

func store[T any](to *T, parse func(string) (T, error), v string) error {
	x, err := parse(v)
	if err == nil {
		*to = x
	}
	return err
}

// setBurst reads ENTER:LEAVE[:LOSS], or 0 for none.
func setBurst(l *Link, v string) error {
	if v == "0" {
		l.Burst = Burst{}
		return nil
	}
	var f [3]float64
	parts := strings.Split(v, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return fmt.Errorf("%q: want ENTER:LEAVE[:LOSS]", v)
	}
	for i, s := range parts {
		if err := store(&f[i], parseShare, s); err != nil {
			return err
		}
	}
	l.Burst = Burst{Enter: f[0], Leave: f[1], Loss: f[2]}
	return nil
}

// setQueue reads bytes (64k), a time (500ms) or bandwidth-delay products (2bdp, bdp).
func setQueue(l *Link, v string) error {
	if n, ok := strings.CutSuffix(v, "bdp"); ok {
		q := Queue{BDP: 1}
		if n != "" {
			f, err := strconv.ParseFloat(n, 64)
			if err != nil {
				return err
			}
			q.BDP = f
		}
		l.Queue = q
		return nil
	}
	if d, err := time.ParseDuration(v); err == nil && d > 0 {
		l.Queue = Queue{Time: d}
		return nil
	}
	n, err := ParseSize(v)
	if err == nil {
		l.Queue = Queue{Bytes: n}
	}
	return err
}

// setPolice reads RATE[:BURST], or 0 for none.
func setPolice(l *Link, v string) error {
	rate, burst, _ := strings.Cut(v, ":")
	var p Police
	if err := store(&p.Rate, ParseRate, rate); err != nil {
		return err
	}
	if burst != "" {
		if err := store(&p.Burst, ParseSize, burst); err != nil {
			return err
		}
	}
	l.Police = p
	return nil
}

// setReorder reads SHARE[:TIME].
func setReorder(l *Link, v string) error {
	share, by, _ := strings.Cut(v, ":")
	if by != "" {
		if err := store(&l.ReorderBy, parseTime, by); err != nil {
			return err
		}
	}
	return store(&l.Reorder, parseShare, share)
}

// ParseRate reads bits per second with an optional k, M or G (powers of ten).
func ParseRate(s string) (int64, error) {
	f, err := scaled(s, map[byte]float64{'k': 1e3, 'K': 1e3, 'm': 1e6, 'M': 1e6, 'g': 1e9, 'G': 1e9})
	return int64(math.Round(f)), err
}

// ParseSize reads bytes with an optional k, M or G (powers of two).
func ParseSize(s string) (int, error) {
	f, err := scaled(s, map[byte]float64{'k': 1 << 10, 'K': 1 << 10, 'm': 1 << 20, 'M': 1 << 20, 'g': 1 << 30, 'G': 1 << 30})
	return int(f), err
}

func scaled(s string, units map[byte]float64) (float64, error) {
	digits, unit := s, 1.0
	if n := len(s); n > 0 {
		if u, ok := units[s[n-1]]; ok {
			digits, unit = s[:n-1], u
		}
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(f >= 0) || f*unit > math.MaxInt32*1e4 {
		return 0, fmt.Errorf("%q: not a number with k, M or G", s)
	}
	return f * unit, nil
}

// parseTime reads a duration that is not negative; 0 needs no unit.
func parseTime(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q: not a time, such as 30ms", s)
	}
	return d, nil
}

// parseSwitch reads on or off.
func parseSwitch(s string) (bool, error) {
	if s != "on" && s != "off" {
		return false, fmt.Errorf("%q: want on or off", s)
	}
	return s == "on", nil
}

// parseShare reads 1% or 0.01.
func parseShare(s string) (float64, error) {
	digits, percent := strings.CutSuffix(s, "%")
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return 0, fmt.Errorf("%q: not a share, such as 1%%", s)
	}
	if percent {
		f /= 100
	}
	return f, nil
}

//go:build linux || darwin

package tcpsock

import "time"

// roundUp returns d in units, upwards: a short time-out must not become 0,
// which means none.
func roundUp(d, unit time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64((d + unit - 1) / unit)
}

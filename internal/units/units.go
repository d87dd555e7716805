// Package units writes sizes and rates as people read them: four digits at most, in the decimal unit that suits.
package units

import "strconv"

// Size is a number of bytes, such as 1.5 GB.
func Size(bytes uint64) string { return text(float64(bytes), "B", "kB", "MB", "GB", "TB", "PB", "EB") }

// Rate is a number of bits per second, such as 20 Mbit/s.
func Rate(bits float64) string { return text(bits, "bit/s", "kbit/s", "Mbit/s", "Gbit/s") }

// text is v in the first unit in which it does not need more than three digits in front of the point, each a thousand of the one before; the last one
// takes what is more.
func text(v float64, units ...string) string {
	i := 0
	for ; v >= 999.95 && i < len(units)-1; i++ { // as 999.95 is written with four digits
		v /= 1000
	}
	if v >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64) + " " + units[i]
	}
	return strconv.FormatFloat(v, 'g', 4, 64) + " " + units[i]
}

// Package slip says how far a word is from what may have been meant. It keeps nothing and may be used by several goroutines.
package slip

import "strings"

// Distance is the number of characters to add, drop, change or swap with the
// next one to get from a to b, in bytes. Names are short, so that ones of more than 64 bytes count as 64 away.
func Distance(a, b string) int {
	const far = 64
	if len(a) > far || len(b) > far {
		return far
	}
	var before, last, row [far + 1]int
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// Nearest is the one of names that name is most likely a slip of, whatever the case of their letters; empty if none is near.
func Nearest(name string, names []string) string {
	best, bestAt := "", max(2, len(name)/3)+1
	for _, n := range names {
		if at := Distance(strings.ToLower(name), strings.ToLower(n)); at < bestAt {
			best, bestAt = n, at
		}
	}
	return best
}

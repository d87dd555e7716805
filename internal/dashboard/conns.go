package dashboard

import (
	"cmp"
	"math"
	"time"
)

// connRates knows what connections had carried when they were looked at last.
type connRates struct {
	at   time.Time
	seen map[uint64][2]int64
}

// rate fills in the rates of connections since the last time.
func (r *connRates) rate(conns []Conn, now time.Time) {
	took := now.Sub(r.at).Seconds()
	seen := make(map[uint64][2]int64, len(conns))
	for i := range conns {
		c := &conns[i]
		if old, ok := r.seen[c.ID]; ok && took > 0 {
			c.DownRate = math.Round(float64(max(c.Down-old[0], 0)) / took)
			c.UpRate = math.Round(float64(max(c.Up-old[1], 0)) / took)
		}
		seen[c.ID] = [2]int64{c.Down, c.Up}
	}
	r.at, r.seen = now, seen
}

// busier orders by the rate of now, then by what was carried, then the newest first.
func busier(a, b Conn) int {
	return cmp.Or(
		cmp.Compare(b.DownRate+b.UpRate, a.DownRate+a.UpRate),
		cmp.Compare(b.Down+b.Up, a.Down+a.Up),
		cmp.Compare(b.ID, a.ID),
	)
}

package bench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// Change is how one metric differs between two runs of bench.
type Change struct {
	Scenario, Transport, Workload string
	Metric                        Metric
	Old, New                      Summary
	Delta                         float64 // of the old median; +0.1 is a tenth more
	P                             float64 // chance of a difference like this if nothing had changed
	Verdict                       string  // Better, Worse or Same
}

// Verdicts of a comparison.
const (
	Better = "better"
	Worse  = "worse"
	Same   = "same" // not beyond noise
)

// A difference counts when it is not likely to be chance and large enough to
// matter. Exact tests on few repetitions cannot go below a certain chance (5 %
// needs four on each side), so with less than that the samples must not overlap
// at all and the difference must be large.
const (
	significance  = 0.05
	minDelta      = 0.02
	fewSamples    = 4
	fewDelta      = 0.10
	singleDelta   = 0.25
	smallestTimes = 1.0  // ms: lines, emulated ones too, are not exact below
	smallestLoop  = 0.02 // ms: and without any the clock of goroutines is not
)

// Compare says what changed from old to new: one change for each metric that
// both have, in new's order.
func Compare(old, new *Results) []Change {
	before, after := old.counted(), new.counted()
	least := smallestTimes
	if new.Mode == ModeLoopback {
		least = smallestLoop
	}
	var all []Change
	for _, s := range new.Summary {
		o, ok := old.Find(s.Scenario, s.Transport, s.Workload, s.Metric)
		if !ok {
			continue
		}
		c := Change{
			Scenario: s.Scenario, Transport: s.Transport, Workload: s.Workload, Metric: new.metric(s.Workload, s.Metric), Old: o, New: s,
		}
		key := cell{s.Scenario, s.Transport, s.Workload}
		c.judge(valuesOf(before[key], s.Metric), valuesOf(after[key], s.Metric), least)
		all = append(all, c)
	}
	return all
}

func valuesOf(runs []*Run, metric string) []float64 {
	var v []float64
	for _, run := range runs {
		if x, ok := run.Metrics[metric]; ok {
			v = append(v, x)
		}
	}
	return v
}

// judge compares two samples of a metric; times that differ by less than least ms
// do not count.
func (c *Change) judge(old, new []float64, least float64) {
	c.Verdict = Same
	diff := c.New.Median - c.Old.Median
	switch {
	case c.Old.Median != 0:
		c.Delta = diff / math.Abs(c.Old.Median)
	case diff != 0:
		c.Delta = math.Copysign(math.Inf(1), diff)
	}
	c.P = rankSum(old, new)
	if !c.beyondNoise(min(len(old), len(new))) || c.Metric.Unit == "ms" && math.Abs(diff) < least {
		return
	}
	c.Verdict = Worse
	if (diff > 0) == (c.Metric.Better == Higher) {
		c.Verdict = Better
	}
}

// beyondNoise says whether a difference of two samples, the smaller of n, is
// more than chance.
func (c *Change) beyondNoise(n int) bool {
	delta := math.Abs(c.Delta)
	switch {
	case n == 0:
		return false
	case n == 1:
		return delta >= singleDelta
	case n < fewSamples:
		// Samples that do not overlap have the smallest chance there is.
		return delta >= fewDelta && c.P <= smallestP(c.Old.N, c.New.N)+1e-9
	}
	return delta >= minDelta && c.P <= significance
}

// smallestP is the smallest two-sided chance that samples of a and b can have.
func smallestP(a, b int) float64 { return min(1, 2/binomial(a+b, a)) }

func binomial(n, k int) float64 {
	v := 1.0
	for i := range k {
		v *= float64(n-i) / float64(i+1)
	}
	return math.Round(v)
}

// rankSum is the two-sided chance of the Mann-Whitney U test: exact for small
// samples without ties, else by the normal approximation with the correction
// for ties. 1 if a sample is empty.
func rankSum(a, b []float64) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 1
	}
	u, ties := 0.0, false
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				u++
			case x == y:
				u += 0.5
				ties = true
			}
		}
	}
	if !ties && len(a)*len(b) <= 400 {
		return exactRankSum(u, len(a), len(b))
	}
	return normalRankSum(u, a, b)
}

// exactRankSum counts, of all ways to order two samples, those at least as far
// from the middle as u.
func exactRankSum(u float64, n, m int) float64 {
	// counts[j][k] is the number of orders of the first i of n and j of m with
	// U = k; U counts pairs in which the first sample's is larger.
	counts := make([][]float64, m+1)
	for j := range counts {
		counts[j] = make([]float64, n*m+1)
		counts[j][0] = 1
	}
	for range n {
		next := make([][]float64, m+1)
		for j := range next {
			next[j] = make([]float64, n*m+1)
			for k := range next[j] {
				if k >= j {
					next[j][k] = counts[j][k-j] // the largest is of the first sample
				}
				if j > 0 {
					next[j][k] += next[j-1][k] // or of the second
				}
			}
		}
		counts = next
	}
	middle := float64(n*m) / 2
	var far, sum float64
	for k, c := range counts[m] {
		sum += c
		if math.Abs(float64(k)-middle) >= math.Abs(u-middle)-1e-9 {
			far += c
		}
	}
	return min(1, far/sum)
}

func normalRankSum(u float64, a, b []float64) float64 {
	n, m := float64(len(a)), float64(len(b))
	all := slices.Sorted(slices.Values(slices.Concat(a, b)))
	var tied float64
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j] == all[i] {
			j++
		}
		t := float64(j - i)
		tied += t*t*t - t
		i = j
	}
	variance := n * m / 12 * (n + m + 1 - tied/((n+m)*(n+m-1)))
	if variance <= 0 {
		return 1 // all values are the same
	}
	z := max(0, math.Abs(u-n*m/2)-0.5) / math.Sqrt(variance)
	return math.Erfc(z / math.Sqrt2)
}

// WriteChanges writes what is beyond noise, and how much is not.
func WriteChanges(w io.Writer, changes []Change) error {
	count := make(map[string]int)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range changes {
		count[c.Verdict]++
		if c.Verdict == Same {
			continue
		}
		if count[Better]+count[Worse] == 1 {
			fmt.Fprintln(tw, "SCENARIO\tTRANSPORT\tWORKLOAD\tWHAT\tOLD\tNEW\tCHANGE\t\tCHANCE")
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\tp=%.3f n=%d+%d\n", c.Scenario, c.Transport, c.Workload,
			strings.TrimSuffix(c.Metric.Title+", "+c.Metric.Unit, ", "), c.Old.Cell(), c.New.Cell(), percentText(c.Delta), c.Verdict,
			c.P, c.Old.N, c.New.N)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d better, %d worse, %d the same within noise\n", count[Better], count[Worse], count[Same])
	return err
}

func percentText(delta float64) string {
	if math.IsInf(delta, 0) {
		return "from nothing"
	}
	return fmt.Sprintf("%+.1f %%", 100*delta)
}

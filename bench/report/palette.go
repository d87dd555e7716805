package report

import (
	"fmt"
	"slices"
	"strings"
)

// tone is a colour in both themes and the dash that goes with it, so that no
// line is known by its colour alone.
type tone struct{ light, dark, dash string }

// wayTones are told apart with every common kind of colour blindness: they
// differ in lightness or along blue and yellow too. A test holds the contrast.
var wayTones = []tone{
	{"#0a5fc4", "#62b0ff", ""},
	{"#b85500", "#f7a24a", "7 3"},
	{"#00785a", "#43cba0", "2 2.5"},
	{"#9b3a86", "#e694d2", "9 3 2 3"},
	{"#5c6470", "#a9b2bf", "4 2"},
	{"#167899", "#7fd6f2", "1.5 3"},
	{"#765900", "#dcc455", "12 3"},
	{"#b92f2a", "#ff9384", "6 2 1.5 2"},
}

// knownWays keep their colours in every report.
var knownWays = []string{"mptcp", "kernel", "quic", "quic-multi", "tcp"}

// tonesOf chooses a colour for each transport: those that are not known get what
// the others leave.
func tonesOf(ways []string) []int {
	tones := make([]int, len(ways))
	taken := make(map[int]bool)
	for i, w := range ways {
		if tones[i] = slices.Index(knownWays, w); tones[i] >= 0 {
			taken[tones[i]] = true
		}
	}
	next := 0
	for i := range tones {
		if tones[i] >= 0 {
			continue
		}
		for len(taken) < len(wayTones) && taken[next%len(wayTones)] {
			next++
		}
		tones[i] = next % len(wayTones)
		taken[tones[i]] = true
		next++
	}
	return tones
}

// lineTones are those of paths, which are drawn as areas on each other.
var lineTones = []tone{
	{"#2b7a9e", "#6cc3e0", ""},
	{"#a86500", "#e8b04a", "5 2"},
	{"#6b4fb3", "#b8a4f2", "2 2"},
	{"#4d7a1f", "#a5d36a", "8 2 2 2"},
	{"#a63d5f", "#f09ab3", "3 3"},
	{"#5c6470", "#a9b2bf", "1.5 2"},
}

// base are the colours of everything else: name, light, dark.
var base = [][3]string{
	{"bg", "#ffffff", "#12151a"},
	{"card", "#f7f8fa", "#1a1e25"},
	{"ink", "#1b1f26", "#e8eaee"},
	{"soft", "#545c69", "#a8b0bd"},
	{"rule", "#d9dde3", "#333a45"},
	{"grid", "#e2e5ea", "#2b313b"},
	{"link", "#0a5fc4", "#7bb8ff"},
	{"good", "#00704f", "#4fd1a5"},
	{"bad", "#b02a25", "#ff9a8c"},
	{"warn", "#8a5a00", "#f0bf60"},
}

// colours is the part of the style sheet that names them for both themes, and
// one class for each tone.
func colours() string {
	var light, dark, classes strings.Builder
	for _, b := range base {
		fmt.Fprintf(&light, "--%s:%s;", b[0], b[1])
		fmt.Fprintf(&dark, "--%s:%s;", b[0], b[2])
	}
	for _, set := range []struct {
		letter string
		tones  []tone
	}{{"w", wayTones}, {"p", lineTones}, {"h", holdTones[:]}} {
		for i, t := range set.tones {
			fmt.Fprintf(&light, "--%s%d:%s;", set.letter, i, t.light)
			fmt.Fprintf(&dark, "--%s%d:%s;", set.letter, i, t.dark)
			fmt.Fprintf(&classes, ".%s%d{color:var(--%s%d)}\n", set.letter, i, set.letter, i)
		}
	}
	return ":root{" + light.String() + "}\n@media screen and (prefers-color-scheme:dark){:root{" + dark.String() + "}}\n" + classes.String()
}

func wayClass(i int) string  { return fmt.Sprintf("w%d", i%len(wayTones)) }
func lineClass(i int) string { return fmt.Sprintf("p%d", i%len(lineTones)) }

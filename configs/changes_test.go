package configs

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestChanges(t *testing.T) {
	parseClient := func(text string) *Client {
		t.Helper()
		c, err := ParseClient("client.yaml", []byte(minimal+text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, tc := range []struct{ old, next, want string }{
		{"", "", "[]"},
		{"drain: 300s", "drain: 5m # the same", "[]"},
		{"", "drain: 10s\nlog: {level: info}\nsocks: {listen: 127.0.0.1:1080}", "[]"}, // the defaults
		{"log: {level: warn}", "log: {level: debug}", "[log.level (warn -> debug)]"},
		{"", "log: {level: debug}\nudp: {serve: false}", "[udp.serve (default -> false) log.level (default -> debug)]"},
		{"paths: [{interface: eth0}]", "paths: [{interface: eth0, role: backup}]", "[paths]"},
		{"paths: [{interface: eth0}]", "paths: auto", "[paths (... -> auto)]"},
		{"socks: {users: {alice: a}}", "socks: {users: {alice: b}}", "[socks.users]"},
		{"", "socks: {users: {alice: b}}", "[socks.users (default -> ...)]"},
		{"socks: {listen: [127.0.0.1:1, 127.0.0.1:2]}", "socks: {listen: 127.0.0.1:1}", "[socks.listen (... -> 127.0.0.1:1)]"},
	} {
		got := parseClient(tc.old).Changes(parseClient(tc.next))
		if fmt.Sprint(got) != tc.want {
			t.Errorf("from %q to %q: %v, want %v", tc.old, tc.next, got, tc.want)
		}
	}

	// What needs a restart stays a change until there has been one.
	running, next := parseClient("memory: 8MiB"), parseClient("memory: 16MiB\ndrain: 1s")
	next.Keep(&running.Source, []string{"memory"})
	if got := fmt.Sprint(next.Changes(parseClient("memory: 16MiB\ndrain: 1s"))); got != "[memory (8MiB -> 16MiB)]" {
		t.Errorf("after Keep: %v", got)
	}
}

// another is a value for a setting that is not the given one; empty if it is not known
// how to make one.
func another(v Variable, value string) string {
	if words, ok := strings.CutPrefix(v.Value, "one of "); ok {
		for w := range strings.SplitSeq(words, ", ") {
			if w != value {
				return w
			}
		}
	}
	for _, o := range [][2]string{
		{"true or false", map[string]string{"true": "false", "false": "true"}[value]},
		{"a time span", "61s"},
		{"a size", "77MiB"},
		{"a number", "77"},
		{"a rate", "77Mbit/s"},
		{"a file name", "other"},
		{"a name", "other"},
		{"an address", "127.0.0.1:77"},
		{"an IP address", "127.0.0.77"},
		{"permissions", "0640"},
		{"a network", "10.77.0.0/16"},
		{"a key", Key{77}.String()},
	} {
		if strings.HasPrefix(v.Value, o[0]) {
			return o[1]
		}
	}
	return ""
}

// Whatever setting changes is seen, and nothing else: each is changed in turn.
func TestEveryChangeIsSeen(t *testing.T) {
	tried := 0
	for _, v := range Variables() {
		for _, isClient := range []bool{true, false} {
			if isClient && !v.Client || !isClient && !v.Egress {
				continue
			}
			text, fields := uncommentAll(exampleClient), clientFields(&Client{})
			if !isClient {
				text, fields = uncommentAll(exampleEgress), egressFields(&Egress{})
			}
			environ, settings := environOf(t, text, fields)
			i := slices.Index(settings, v.Setting)
			if i < 0 {
				continue // TestEnvironmentSaysEverything has something to say about that
			}
			_, value, _ := strings.Cut(environ[i], "=")
			other := another(v, strings.Trim(value, `"`))
			if other == "" {
				continue
			}
			tried++
			next := slices.Clone(environ)
			next[i] = v.Name + "=" + other
			var got []Change
			if isClient { // settings that do not fit each other are refused, but read
				a, _ := Input{Environ: environ}.Client()
				b, _ := Input{Environ: next}.Client()
				got = a.Changes(b)
			} else {
				a, _ := Input{Environ: environ}.Egress()
				b, _ := Input{Environ: next}.Egress()
				got = a.Changes(b)
			}
			if len(got) != 1 || got[0].Setting != v.Setting {
				t.Errorf("%s from %s to %s: %v", v.Setting, value, other, got)
			}
		}
	}
	if all := len(Variables()); tried < all {
		t.Errorf("%d changes tried, want more than the %d settings", tried, all)
	}
}

package lab

import (
	"strings"
	"testing"
	"time"
)

func TestParsePath(t *testing.T) {
	both := func(l Link) Path { return Path{Up: l, Down: l} }
	base := Link{Rate: 20e6, Delay: 15 * time.Millisecond}
	with := func(f func(*Link)) Path { l := base; f(&l); return both(l) }
	for in, want := range map[string]Path{
		"20M/30ms":                          both(base),
		"20M/30ms,":                         both(base),
		"9.6k/1.2s":                         both(Link{Rate: 9600, Delay: 600 * time.Millisecond}),
		"0/0":                               {},
		"1G/0s":                             both(Link{Rate: 1e9}),
		"20M/30ms,loss=1%":                  with(func(l *Link) { l.Loss = 0.01 }),
		"20M/30ms,loss=0.01":                with(func(l *Link) { l.Loss = 0.01 }),
		"20M/30ms,jitter=2ms,delay=3ms":     with(func(l *Link) { l.Jitter, l.Delay = 2*time.Millisecond, 3*time.Millisecond }),
		"20M/30ms,queue=64k":                with(func(l *Link) { l.Queue = Queue{Bytes: 65536} }),
		"20M/30ms,queue=500ms":              with(func(l *Link) { l.Queue = Queue{Time: 500 * time.Millisecond} }),
		"20M/30ms,queue=bdp":                with(func(l *Link) { l.Queue = Queue{BDP: 1} }),
		"20M/30ms,queue=2.5bdp":             with(func(l *Link) { l.Queue = Queue{BDP: 2.5} }),
		"20M/30ms,burst=1%:25%":             with(func(l *Link) { l.Burst = Burst{Enter: 0.01, Leave: 0.25} }),
		"20M/30ms,burst=1%:25%:50%,burst=0": both(base),
		"20M/30ms,police=1M:20k":            with(func(l *Link) { l.Police = Police{Rate: 1e6, Burst: 20480} }),
		"20M/30ms,reorder=25%:5ms":          with(func(l *Link) { l.Reorder, l.ReorderBy = 0.25, 5*time.Millisecond }),
		"20M/30ms,duplicate=5%,corrupt=1%,biterror=2%,mtu=1300": with(func(l *Link) {
			l.Duplicate, l.Corrupt, l.BitError, l.MTU = 0.05, 0.01, 0.02, 1300
		}),
		"20M/30ms,refuse=on":                 with(func(l *Link) { l.Refuse = true }),
		"20M/30ms,refuse=on,refuse=off":      both(base),
		"20M/30ms,up.rate=5M,down.loss=2%":   {Up: Link{Rate: 5e6, Delay: base.Delay}, Down: Link{Rate: 20e6, Delay: base.Delay, Loss: 0.02}},
		"20M/30ms,name=wifi,device.mtu=1400": {Name: "wifi", MTU: 1400, Up: base, Down: base},
	} {
		got, err := ParsePath(in)
		if err != nil || got != want {
			t.Errorf("ParsePath(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
}

func TestParsePathErrors(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "want RATE/RTT",
		"20M":                       "want RATE/RTT",
		"fast/30ms":                 "rate",
		"-1/30ms":                   "rate",
		"NaN/30ms":                  "rate",
		"20M/30":                    "rtt",
		"20M/-30ms":                 "negative",
		"20M/30ms,lost=1%":          "no such setting",
		"20M/30ms,loss=101%":        "not between",
		"20M/30ms,loss=NaN":         "not between",
		"20M/30ms,loss":             "not a share",
		"20M/30ms,refuse=maybe":     "want on or off",
		"20M/30ms,queue=many":       "not a number",
		"20M/30ms,queue=-1bdp":      "negative",
		"20M/30ms,burst=1%":         "ENTER:LEAVE",
		"20M/30ms,sideways.loss=1%": "no such setting",
		"20M/30ms,device.mtu=big":   "invalid syntax",
	} {
		if _, err := ParsePath(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParsePath(%q): error %v, want %q in it", in, err, want)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	f.Add("20M/30ms,up.rate=5M,loss=1%,queue=2bdp")
	f.Add("9.6k/1.2s,burst=1%:25%:50%,police=1M:20k,reorder=25%:5ms,name=x")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePath(s)
		if err != nil {
			return
		}
		for _, l := range []Link{p.Up, p.Down} {
			if err := l.validate(); err != nil {
				t.Errorf("ParsePath(%q) let through: %v", s, err)
			}
			if n := l.Queue.limit(l.Rate, p.RTT()); n < 0 || n > maxQueue {
				t.Errorf("ParsePath(%q): queue limit %d", s, n)
			}
		}
	})
}

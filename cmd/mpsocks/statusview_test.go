package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestPrintStatus(t *testing.T) {
	var s statusView
	err := json.Unmarshal([]byte(`{"role":"client","session":{"state":"up","id":"3f2a91c0","transport":"mptcp","streams":3},
		"connections":{"open":2,"opened":7,"tx_bytes":999,"rx_bytes":12345678},
		"paths":[{"name":"cable","interface":"eth0","state":"up","reason":"","local":"10.0.1.2:40000","remote":"10.0.1.1:8443","role":"primary",
			"rtt_ms":30.4,"loss":0.0123,"tx_bytes":999,"rx_bytes":12345678,"tx_rate":100,"rx_rate":2500000,"share":0.664,"cap":{"limit":30000000000,"used":12345678901,"reset":"2026-12-05"}},
			{"name":"phone","state":"down","reason":"dial: \u001b[31mno\nroute","role":"backup","role_reason":"role set by hand, configured is primary"}]}`), &s)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := printStatus(&b, s); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"client   session up   id 3f2a91c0   transport mptcp   streams 3",
		"open 2   of 7   down 12.35 MB   up 999 B",
		"",
		"PATH   IF    LOCAL->REMOTE                  STATE  REASON                                                        ROLE     RTT    LOSS   DOWN       UP         SHARE  CAP            SINCE",
		"cable  eth0  10.0.1.2:40000->10.0.1.1:8443  up     -                                                             primary  30 ms  1.2 %  20 Mbit/s  800 bit/s  66 %   41 % of 30 GB  -",
		"phone  -     -                              down   dial:  [31mno route; role set by hand, configured is primary  backup   -      -      -          -          -      -              -",
		"",
	}, "\n")
	if got := b.String(); got != want {
		t.Errorf("printStatus:\n%s\nwant\n%s", got, want)
	}
}

func TestPrintDownAndIdle(t *testing.T) {
	none := 0.0
	s := statusView{Role: "client", Paths: []pathView{{Name: "cable", Share: &none, Since: time.Now().Add(-90 * time.Minute)}}}
	s.Session.State, s.Session.Reason = "down", "no path answers"
	want := strings.Join([]string{
		"client   session down   id -   transport -   streams 0",
		"reason: no path answers",
		"",
		"PATH   IF  LOCAL->REMOTE  STATE  REASON  ROLE  RTT  LOSS  DOWN  UP  SHARE  CAP  SINCE",
		"cable  -   -              -      -       -     -    -     -     -   -      -    1h30m",
		"",
	}, "\n")
	var b bytes.Buffer
	if err := printStatus(&b, s); err != nil || b.String() != want {
		t.Errorf("printStatus, %v:\n%s\nwant\n%s", err, b.String(), want)
	}
}

// Several egresses are a table of their own, with why one of them is in use.
func TestPrintEgresses(t *testing.T) {
	now, rtt := time.Unix(1e9, 0), 12.3
	var b strings.Builder
	all := []egressView{
		{Name: "main", State: "down", Reason: "no path answers", Since: now.Add(-5 * time.Second)},
		{Name: "spare", State: "up", InUse: true, Chosen: "main: no path answers", RTT: &rtt, Streams: 3, Since: now.Add(-time.Minute)},
	}
	if err := printEgresses(&b, all, now); err != nil {
		t.Fatal(err)
	}
	want := "EGRESS  STATE  RTT    STREAMS  SINCE  REASON\n" +
		"main    down   -      0        5s     no path answers\n" +
		"spare   up     12 ms  3        1m0s   in use: main: no path answers\n\n"
	if b.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", b.String(), want)
	}
}

func TestAge(t *testing.T) {
	now := time.Unix(1e9, 0)
	for d, want := range map[time.Duration]string{
		0: "0s", -time.Second: "0s", 59900 * time.Millisecond: "59s", 61 * time.Second: "1m1s", 3 * time.Hour: "3h0m", 49*time.Hour + 59*time.Minute: "2d1h",
	} {
		if got := age(now.Add(-d), now); got != want {
			t.Errorf("age of %v = %s, want %s", d, got, want)
		}
	}
	if got := age(time.Time{}, now); got != "-" {
		t.Errorf("age of nothing = %s", got)
	}
}

func TestBits(t *testing.T) {
	for v, want := range map[float64]string{0: "0 bit/s", 100: "800 bit/s", 12500: "100 kbit/s", 1.25e6: "10 Mbit/s", 2.5e8: "2 Gbit/s"} {
		if got := bits(&v); got != want {
			t.Errorf("bits(%v) = %s, want %s", v, got, want)
		}
	}
	if got := bits(nil); got != "-" {
		t.Errorf("bits of nothing = %s", got)
	}
}

func TestPrintUDP(t *testing.T) {
	for want, u := range map[string]udpView{
		"": {},
		"udp   associations 1   datagrams up 2   down 3\n":                                 {Associations: 1, Up: 2, Down: 3},
		"udp   associations 0   datagrams up 2   down 0   dropped: denied 7, stranger 1\n": {Up: 2, Dropped: map[string]uint64{"stranger": 1, "denied": 7}},
	} {
		if got := u.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestPrintEgress(t *testing.T) {
	rtt := 30.4
	s := statusView{Role: "egress", Paths: []pathView{
		{Client: "laptop", Name: "laptop/addr0", State: "up", Role: "primary", Local: "10.0.1.1:8443", Remote: "10.0.1.2:40000", RTT: &rtt, TX: 1, RX: 2},
		{Client: "laptop", Name: "laptop/addr1", State: "suspect", Role: "backup", Local: "10.0.1.1:8443", Remote: "10.0.2.2:40000", Reason: "no answer"},
		{Client: "phone", Name: "phone/addr0", State: "up", Local: "10.0.1.1:8443", Remote: "10.0.3.2:40000"},
	}}
	s.Session.State, s.Session.Streams = "listening", 5
	want := strings.Join([]string{
		"egress   listening   clients connected 2   streams 5",
		"",
		"CLIENT  FROM            TO             STATE    ROLE     RTT    SENT  RECEIVED  REASON",
		"laptop  10.0.1.2:40000  10.0.1.1:8443  up       primary  30 ms  1 B   2 B       -",
		"laptop  10.0.2.2:40000  10.0.1.1:8443  suspect  backup   -      0 B   0 B       no answer",
		"phone   10.0.3.2:40000  10.0.1.1:8443  up       -        -      0 B   0 B       -",
		"",
	}, "\n")
	var b bytes.Buffer
	if err := printStatus(&b, s); err != nil || b.String() != want {
		t.Errorf("printStatus, %v:\n%s\nwant\n%s", err, b.String(), want)
	}
	b.Reset()
	if err := printStatus(&b, statusView{Role: "egress"}); err != nil || !strings.HasSuffix(b.String(), "\n\nno client is connected\n") {
		t.Errorf("printStatus of an egress without clients = %q, %v", b.String(), err)
	}
}

func TestWhyIsSaidOnce(t *testing.T) {
	for _, tt := range []struct{ reason, role, want string }{
		{"", "", "-"},
		{"role never", "", "role never"},
		{"", "switched off by hand", "switched off by hand"},
		{"switched off by hand", "switched off by hand", "switched off by hand"},
		{"no answer", "mode handover: one path at a time", "no answer; mode handover: one path at a time"},
	} {
		if got := (&pathView{Reason: tt.reason, RoleReason: tt.role}).why(); got != tt.want {
			t.Errorf("reasons %q and %q are shown as %q, want %q", tt.reason, tt.role, got, tt.want)
		}
	}
}

func TestPrintNoPaths(t *testing.T) {
	var b bytes.Buffer
	if err := printStatus(&b, statusView{}); err != nil || b.String() != "-   session -   id -   transport -   streams 0\n\nno paths\n" {
		t.Errorf("printStatus of nothing = %q, %v", b.String(), err)
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestPrintStatus(t *testing.T) {
	var s statusView
	err := json.Unmarshal([]byte(`{"role":"client","session":{"state":"up","id":"3f2a91c0","transport":"mptcp","streams":3},
		"paths":[{"name":"cable","state":"up","reason":"","local":"10.0.1.2:40000","remote":"10.0.1.1:8443","role":"primary",
			"rtt_ms":30.4,"tx_bytes":999,"rx_bytes":12345678,"share":0.664},
			{"name":"phone","state":"down","reason":"dial: \u001b[31mno\nroute","role":"backup"}]}`), &s)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := printStatus(&b, s); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"client   session up   id 3f2a91c0   transport mptcp   streams 3",
		"",
		"PATH   STATE  ROLE     LOCAL           REMOTE         RTT    SENT (TOTAL)  RECEIVED (TOTAL)  SHARE (10 s)  REASON",
		"cable  up     primary  10.0.1.2:40000  10.0.1.1:8443  30 ms  999 B         12.3 MB           66 %          -",
		"phone  down   backup   -               -              -      0 B           0 B               -             dial:  [31mno route",
		"",
	}, "\n")
	if got := b.String(); got != want {
		t.Errorf("printStatus:\n%s\nwant\n%s", got, want)
	}
}

func TestPrintDownAndIdle(t *testing.T) {
	none := 0.0
	s := statusView{Role: "client", Paths: []pathView{{Name: "cable", Share: &none}}}
	s.Session.State, s.Session.Reason = "down", "no path answers"
	want := strings.Join([]string{
		"client   session down   id -   transport -   streams 0",
		"reason: no path answers",
		"",
		"PATH   STATE  ROLE  LOCAL  REMOTE  RTT  SENT (TOTAL)  RECEIVED (TOTAL)  SHARE (10 s)  REASON",
		"cable  -      -     -      -       -    0 B           0 B               -             -",
		"",
	}, "\n")
	var b bytes.Buffer
	if err := printStatus(&b, s); err != nil || b.String() != want {
		t.Errorf("printStatus, %v:\n%s\nwant\n%s", err, b.String(), want)
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

func TestPrintNoPaths(t *testing.T) {
	var b bytes.Buffer
	if err := printStatus(&b, statusView{}); err != nil || b.String() != "-   session -   id -   transport -   streams 0\n\nno paths\n" {
		t.Errorf("printStatus of nothing = %q, %v", b.String(), err)
	}
}

func TestBytesText(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1234567: "1.2 MB", 5e9: "5.0 GB", 5e12: "5.0 TB", 5e15: "5.0 PB", 1 << 63: "9223.4 PB",
	} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %q, want %q", n, got, want)
		}
	}
}

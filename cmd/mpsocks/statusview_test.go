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
		"PATH   STATE  ROLE     LOCAL           REMOTE         RTT    SENT   RECEIVED  SHARE  REASON",
		"cable  up     primary  10.0.1.2:40000  10.0.1.1:8443  30 ms  999 B  12.3 MB   66 %   -",
		"phone  down   backup   -               -              -      0 B    0 B       -      dial:  [31mno route",
		"",
	}, "\n")
	if got := b.String(); got != want {
		t.Errorf("printStatus:\n%s\nwant\n%s", got, want)
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

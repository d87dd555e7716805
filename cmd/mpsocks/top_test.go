package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/admin"
)

func TestTopTable(t *testing.T) {
	now := time.Unix(1e9, 0)
	var table topTable
	show := func(conns ...connView) string {
		var b bytes.Buffer
		if err := table.print(&b, conns, 2, now); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	old := connView{ID: 1, Client: "127.0.0.1:5", Kind: "connect", Target: "a.example:443", TX: 1000, RX: 9000, Since: now.Add(-time.Minute), Paths: []string{"cable", "phone"}}
	want := strings.Join([]string{
		"connections 3",
		"",
		"ID  TARGET         KIND     DOWN  UP  RECEIVED  SENT  PATHS        AGE   RULE  CLIENT",
		"1   a.example:443  connect  -     -   9 kB      1 kB  cable+phone  1m0s  -     127.0.0.1:5",
		"3   -              udp      -     -   0 B       0 B   -            -     -     -",
		"",
	}, "\n")
	if got := show(old, connView{ID: 2, Kind: "udp"}, connView{ID: 3, Kind: "udp"}); got != want {
		t.Errorf("at first:\n%s\nwant\n%s", got, want)
	}
	now = now.Add(2 * time.Second)
	want = strings.Join([]string{
		"connections 2",
		"",
		"ID  TARGET         KIND     DOWN       UP         RECEIVED  SENT   PATHS        AGE   RULE  CLIENT",
		"2   -              udp      10 Mbit/s  400 bit/s  2.5 MB    100 B  -            -     -     -",
		"1   a.example:443  connect  0 bit/s    0 bit/s    9 kB      1 kB   cable+phone  1m2s  -     127.0.0.1:5",
		"",
	}, "\n")
	if got := show(old, connView{ID: 2, Kind: "udp", RX: 2.5e6, TX: 100}); got != want {
		t.Errorf("two seconds later:\n%s\nwant\n%s", got, want)
	}
}

// A daemon that was restarted counts its connections anew: their rates are unknown then, not wrong.
func TestTopAfterARestart(t *testing.T) {
	now := time.Unix(1e9, 0)
	var table topTable
	table.rate([]connView{{ID: 1, RX: 1e6}}, now)
	if rows := table.rate([]connView{{ID: 1, RX: 10}}, now.Add(time.Second)); rows[0].down != nil {
		t.Errorf("the rate is %v, want none", *rows[0].down)
	}
}

func TestTop(t *testing.T) {
	client, _ := pairOfFiles(t, "127.0.0.1:8443")
	cfg, err := configs.Input{File: client}.Client()
	if err != nil {
		t.Fatal(err)
	}
	id, err := loadIdentity(&cfg.Source, cfg.Identity)
	if err != nil {
		t.Fatal(err)
	}
	var ended []uint64
	addr := serveAdminOf(t, client, admin.Config{
		Status: func() any { return nil }, Token: id.AdminToken(),
		Conns:   func() any { return []map[string]any{{"id": 17, "target": "a.example:443"}} },
		EndConn: func(id uint64) bool { ended = append(ended, id); return id == 17 },
	})

	if got := mpsocks(t, "", "top", "--admin", addr); got.code != exitOK || !strings.Contains(got.out, "17  a.example:443") {
		t.Errorf("top = %+v", got)
	}
	if got := mpsocks(t, "", "top", "-c", client, "--json"); got.code != exitOK || !strings.HasPrefix(got.out, "[") {
		t.Errorf("top --json = %+v", got)
	}
	if got := mpsocks(t, "", "top", "-c", client, "--end", "17"); got.code != exitOK || len(ended) != 1 {
		t.Errorf("top --end = %+v, ended %v", got, ended)
	}
	if got := mpsocks(t, "", "top", "-c", client, "--end", "18"); got.code != exitFailure || !strings.Contains(got.err, "no connection 18, or it has ended") {
		t.Errorf("top --end of one that is not there = %+v", got)
	}
	for _, args := range [][]string{{"--end", "17"}, {"--every", "1ms"}, {"--most", "0"}} {
		if got := mpsocks(t, "", append([]string{"top"}, args...)...); got.code != exitUsage {
			t.Errorf("top %v = %+v, want a usage error", args, got)
		}
	}
}

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/bench/lab"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{
		"-path", "20M/30ms", "-path", "50M/20ms,name=wifi", "-name", "x", "-event", "5s down 0", "-event", "10s up 0",
		"-sysctl", "net.ipv4.tcp_congestion_control=cubic", "-loss", "1%",
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(o.cfg.Paths) != 2 || o.cfg.Paths[1].Name != "wifi" || !strings.HasSuffix(o.socket, "/x.sock") {
		t.Errorf("paths %+v, socket %s", o.cfg.Paths, o.socket)
	}
	if want := (lab.Event{At: 5 * time.Second, Do: "down 0"}); len(o.cfg.Events) != 2 || o.cfg.Events[0] != want {
		t.Errorf("events %+v", o.cfg.Events)
	}
	if o.cfg.Sysctls["net.ipv4.tcp_congestion_control"] != "cubic" {
		t.Errorf("sysctls %v", o.cfg.Sysctls)
	}
	for _, bad := range [][]string{{"-path", "fast"}, {"-event", "soon down 0"}, {"-sysctl", "x"}, {"-frob"}, {"left over"}} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

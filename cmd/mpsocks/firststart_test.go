package main

import (
	"context"
	"os"
	"strings"
	"testing"
)

// TestFirstStart starts an egress twice on a folder that is empty at first, by the environment alone.
func TestFirstStart(t *testing.T) {
	dir := t.TempDir()
	environ := []string{"MPSOCKS_ADDRESS=[egress.example.net:8443, 192.0.2.7:8443]", "MPSOCKS_LISTEN=127.0.0.1:0", "MPSOCKS_ADMIN_LISTEN=off"}
	var key string
	for start := range 2 {
		d := &daemon{signals: make(chan os.Signal, 2), out: newWatched(), err: newWatched(), done: make(chan struct{})}
		go func() {
			defer close(d.done)
			d.code = run(context.Background(), []string{"egress", "--init", dir},
				env{in: strings.NewReader(""), out: d.out, err: d.err, signals: d.signals, desktop: noDesktop, environ: environ})
			d.out.end()
			d.err.end()
		}()
		d.err.line(t, "ready")
		d.stop()
		if links := strings.Count(d.out.String(), "mpsocks://"); links != 1-start {
			t.Errorf("start %d wrote %d join links, want %d:\n%s", start+1, links, 1-start, d.out)
		}
		if start == 0 {
			link := strings.TrimSpace(d.out.String())
			r := mpsocks(t, "", "join", link, "--dir", t.TempDir())
			if r.code != exitOK || !strings.Contains(r.err, "egress at egress.example.net:8443, 192.0.2.7:8443") {
				t.Errorf("join by the link: %+v", r)
			}
			key = read(t, dir, egressKey)
		} else if again := read(t, dir, egressKey); again != key {
			t.Error("the second start has made a new key")
		}
	}
	if err := os.Remove(dir + "/" + egressKey); err != nil {
		t.Fatal(err)
	}
	if r := mpsocks(t, "", "egress", "--init", dir); r.code != exitFailure || !strings.Contains(r.err, "is there alone") {
		t.Errorf("start without the key: %+v, want a refusal to make a new one", r)
	}
}

func TestFirstStartRefuses(t *testing.T) {
	for _, tc := range []struct {
		environ []string
		want    string
	}{
		{nil, "MPSOCKS_ADDRESS does not say what clients dial"},
		{[]string{"MPSOCKS_ADDRESS=nowhere"}, "MPSOCKS_ADDRESS: address: "},
		{[]string{"MPSOCKS_ADRESS=a.example:8443"}, `did you mean "MPSOCKS_ADDRESS"?`},
	} {
		var errs strings.Builder
		dir := t.TempDir()
		code := run(t.Context(), []string{"egress", "--init", dir}, env{in: strings.NewReader(""), out: &errs, err: &errs, environ: tc.environ})
		if code != exitUsage || !strings.Contains(errs.String(), tc.want) {
			t.Errorf("%v: code %d, %q; want %d and %q", tc.environ, code, errs.String(), exitUsage, tc.want)
		}
		if found, err := os.ReadDir(dir); err != nil || len(found) > 0 {
			t.Errorf("%v: left %v in the folder, %v", tc.environ, found, err)
		}
	}
}

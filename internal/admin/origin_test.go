package admin

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"testing"
)

// Pages of other origins get nothing, and start nothing.
func TestOtherPages(t *testing.T) {
	traces := 0
	addr := start(t, Config{
		Status: status, Profile: true,
		Page: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") }),
		Trace: func(_ context.Context, _ url.Values, w io.Writer) error {
			traces++
			_, err := io.WriteString(w, "{}")
			return err
		},
	})
	for _, tc := range []struct {
		name, path, origin, site, mode, dest string
		code                                 int
	}{
		{"no browser", "/trace", "", "", "", "", 200},
		{"typed in", "/status", "", "none", "navigate", "document", 200},
		{"the page itself", "/trace", "", "same-origin", "cors", "empty", 200},
		{"the page itself, with its origin", "/status", "http://" + addr, "same-origin", "cors", "empty", 200},
		{"picture of another site", "/trace", "", "cross-site", "no-cors", "image", 403},
		{"picture of another port", "/trace", "", "same-site", "no-cors", "image", 403},
		{"profile", "/debug/pprof/profile?seconds=1", "", "cross-site", "no-cors", "image", 403},
		{"viewer", "/page/events", "", "cross-site", "cors", "empty", 403},
		{"window to a trace", "/trace", "", "cross-site", "navigate", "document", 403},
		{"link to the page", "/", "", "cross-site", "navigate", "document", 200},
		{"link of another port", "/?x=1", "", "same-site", "navigate", "document", 200},
		{"frame", "/", "", "cross-site", "navigate", "iframe", 403},
		{"page as a script", "/", "", "cross-site", "no-cors", "script", 403},
		{"foreign origin", "/trace", "https://evil.example", "", "", "", 403},
		{"foreign port", "/page/events", "http://127.0.0.1:1", "", "", "", 403},
		{"no origin to name", "/status", "null", "", "", "", 403},
	} {
		req, err := http.NewRequest(http.MethodGet, "http://"+addr+tc.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range map[string]string{"Origin": tc.origin, "Sec-Fetch-Site": tc.site, "Sec-Fetch-Mode": tc.mode, "Sec-Fetch-Dest": tc.dest} {
			if v != "" {
				req.Header.Set(name, v)
			}
		}
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != tc.code {
			t.Errorf("%s: GET %s = %d, want %d", tc.name, tc.path, resp.StatusCode, tc.code)
		}
	}
	if traces != 2 {
		t.Errorf("%d traces were begun, want 2", traces)
	}
}

package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const testToken = "a token"

// changes keeps what a server was asked to change.
type changes struct{ got []string }

func (c *changes) set(name string, p PathChange) error {
	if name == "nowhere" {
		return fmt.Errorf("path nowhere: %w", ErrNotFound)
	}
	text := name
	if p.Role != nil {
		text += " role " + *p.Role
		if *p.Role == "king" {
			return errors.New("no such role")
		}
	}
	if p.Enabled != nil {
		text += fmt.Sprint(" enabled ", *p.Enabled)
	}
	c.got = append(c.got, text)
	return nil
}

func TestSetPath(t *testing.T) {
	var did changes
	addr := start(t, Config{Status: status, SetPath: did.set, Token: testToken})
	const auth, js = "Bearer " + testToken, "application/json"
	for _, tc := range []struct {
		name, path, auth, kind, origin, body string
		code                                 int
	}{
		{"role", "/paths/a", auth, js, "", `{"role":"backup"}`, 204},
		{"escaped name", "/paths/a%2Fb%20c", "bearer " + testToken, js + "; charset=utf-8", "", `{"enabled":false}`, 204},
		{"both", "/paths/a", auth, js, "", `{"role":"primary","enabled":true}`, 204},
		{"no token", "/paths/a", "", js, "", `{"role":"backup"}`, 401},
		{"another token", "/paths/a", "Bearer A token", js, "", `{"role":"backup"}`, 401},
		{"empty token", "/paths/a", "Bearer ", js, "", `{"role":"backup"}`, 401},
		{"another scheme", "/paths/a", "Basic " + testToken, js, "", `{"role":"backup"}`, 401},
		{"a form of another page", "/paths/a", "", "text/plain", "https://evil.example", `{"role":"backup"}`, 403},
		{"another page with the token", "/paths/a", auth, js, "https://evil.example", `{"role":"backup"}`, 403},
		{"another port with the token", "/paths/a", auth, js, "http://127.0.0.1:1", `{"role":"backup"}`, 403},
		{"a page without an origin", "/paths/a", auth, js, "null", `{"role":"backup"}`, 403},
		{"the page of this port", "/paths/a", auth, js, "http://" + addr, `{"role":"backup"}`, 204},
		{"a form with the token", "/paths/a", auth, "application/x-www-form-urlencoded", "", `role=backup`, 415},
		{"no path", "/paths/nowhere", auth, js, "", `{"role":"backup"}`, 404},
		{"no role", "/paths/a", auth, js, "", `{"role":"king"}`, 400},
		{"nothing", "/paths/a", auth, js, "", `{}`, 400},
		{"no JSON", "/paths/a", auth, js, "", `role`, 400},
		{"unknown", "/paths/a", auth, js, "", `{"rol":"backup"}`, 400},
		{"two", "/paths/a", auth, js, "", `{"role":"backup"}{"role":"never"}`, 400},
		{"long", "/paths/a", auth, js, "", `{"role":"` + strings.Repeat("x", maxChange) + `"}`, 400},
	} {
		req, err := http.NewRequest(http.MethodPost, "http://"+addr+tc.path, strings.NewReader(tc.body))
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range map[string]string{"Authorization": tc.auth, "Content-Type": tc.kind, "Origin": tc.origin} {
			if v != "" {
				req.Header.Set(k, v)
			}
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != tc.code || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d with %v, want %d", tc.name, resp.StatusCode, resp.Header, tc.code)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	want := "a role backup|a/b c enabled false|a role primary enabled true|a role backup"
	if got := strings.Join(did.got, "|"); got != want {
		t.Errorf("changed %q, want %q", got, want)
	}
}

// A connection is ended by its number, by those who know the token.
func TestEndConn(t *testing.T) {
	var ended []uint64
	end := func(id uint64) bool {
		ended = append(ended, id)
		return id == 7
	}
	addr := start(t, Config{Status: status, Conns: func() any { return []int{7} }, EndConn: end, Token: testToken})
	if got, err := Fetch(t.Context(), addr, "/connections"); err != nil || !strings.Contains(string(got), "7") {
		t.Errorf("connections = %s, %v", got, err)
	}
	if err := EndConn(t.Context(), addr, testToken, 7); err != nil {
		t.Errorf("EndConn = %v", err)
	}
	if err := EndConn(t.Context(), addr, testToken, 8); err == nil || !strings.Contains(err.Error(), "it may have ended") {
		t.Errorf("EndConn of one that is not there = %v", err)
	}
	if err := EndConn(t.Context(), addr, "no token", 7); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("EndConn without the token = %v", err)
	}
	if code, body, _ := ask(t, "DELETE", addr, "/connections/x", ""); code != 401 {
		t.Errorf("without a token at all: %d %s", code, body)
	}
	if want := []uint64{7, 8}; !slices.Equal(ended, want) {
		t.Errorf("asked to end %v, want %v", ended, want)
	}
	if _, err := New(Config{Listen: "127.0.0.1:0", Status: status, EndConn: end}); err == nil {
		t.Error("New with EndConn and without a token = nil, want an error")
	}
	none := start(t, Config{Status: status})
	if _, err := Fetch(t.Context(), none, "/connections"); err == nil {
		t.Error("connections of who has none = nil, want an error")
	}
}

// TestNothingToSet has a server that can change nothing, such as an egress.
func TestNothingToSet(t *testing.T) {
	addr := start(t, Config{Status: status})
	role := "backup"
	if err := SetPath(t.Context(), addr, testToken, "a", PathChange{Role: &role}); err == nil || !strings.Contains(err.Error(), "404") && !strings.Contains(err.Error(), "405") {
		t.Errorf("SetPath = %v, want a refusal", err)
	}
	if _, err := New(Config{Listen: "127.0.0.1:0", Status: status, SetPath: new(changes).set}); err == nil {
		t.Error("New without a token: no error")
	}
}

func TestAskForChange(t *testing.T) {
	var did changes
	addr := start(t, Config{Status: status, SetPath: did.set, Token: testToken})
	off := false
	if err := SetPath(t.Context(), addr, testToken, "a / b", PathChange{Enabled: &off}); err != nil || len(did.got) != 1 || did.got[0] != "a / b enabled false" {
		t.Errorf("SetPath = %v, changed %q", err, did.got)
	}
	for name, token := range map[string]string{"nowhere": testToken, "a": "wrong"} {
		if err := SetPath(context.Background(), addr, token, name, PathChange{Enabled: &off}); err == nil {
			t.Errorf("SetPath of %s with %q: no error", name, token)
		}
	}
}

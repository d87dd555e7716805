package main

import (
	"crypto/sha256"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHandler(t *testing.T) {
	for _, tc := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"GET", "/", "", 200, "hello from the web target\n"},
		{"GET", "/bytes/18", "", 200, "\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00"},
		{"GET", "/bytes/0", "", 200, ""},
		{"GET", "/bytes/-1", "", 400, "want /bytes/NUMBER\n"},
		{"GET", "/bytes/many", "", 400, "want /bytes/NUMBER\n"},
		{"PUT", "/", "abc", 200, fmt.Sprintf("3 %x\n", sha256.Sum256([]byte("abc")))},
		{"GET", "/none", "", 404, "404 page not found\n"},
	} {
		w := httptest.NewRecorder()
		handler().ServeHTTP(w, httptest.NewRequest(tc.method, tc.path, strings.NewReader(tc.body)))
		if w.Code != tc.code || w.Body.String() != tc.want {
			t.Errorf("%s %s = %d %q, want %d %q", tc.method, tc.path, w.Code, w.Body.String(), tc.code, tc.want)
		}
	}
}

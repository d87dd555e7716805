package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// fetchTime is how long an answer from the own machine may take.
	fetchTime = 5 * time.Second
	// maxAnswer bounds what a wrong program on the port can make us read.
	maxAnswer = 16 << 20
)

// Fetch asks the admin port at addr for path (/status, /paths) and returns the
// JSON it answers. No proxy is used, whatever the environment says: the
// environment often names the very program that is asked.
func Fetch(ctx context.Context, addr, path string) (json.RawMessage, error) {
	body, err := fetch(ctx, addr, path)
	if err == nil && !json.Valid(body) {
		return nil, fmt.Errorf("ask %s: what answers there is not mpsocks", addr)
	}
	return body, err
}

// HasPAC says why the admin port at addr has no proxy auto-configuration file.
func HasPAC(ctx context.Context, addr string) error {
	_, err := fetch(ctx, addr, PACPath)
	return err
}

func fetch(ctx context.Context, addr, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	tr := &http.Transport{DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", addr, err)
	}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", addr, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, fmt.Errorf("ask %s: %w", addr, err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("ask %s: %s: %.200s", addr, resp.Status, strings.TrimSpace(string(body)))
	}
	return body, nil
}

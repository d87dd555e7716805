package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// fetchTime is how long an answer from the own machine may take.
	fetchTime = 5 * time.Second
	// maxAnswer bounds what a wrong program on the port can make us read.
	maxAnswer = 16 << 20
	// maxReason is how much of a refusal is worth reading.
	maxReason = 200
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
	var body []byte
	err := get(ctx, addr, path, func(answer io.Reader) (err error) {
		body, err = io.ReadAll(io.LimitReader(answer, maxAnswer))
		return err
	})
	return body, err
}

// Follow asks the admin port at addr for path (/trace) and copies what it answers
// to w until ctx ends, which is no error, or the answer does.
func Follow(ctx context.Context, addr, path string, w io.Writer) error {
	err := get(ctx, addr, path, func(answer io.Reader) error {
		_, err := io.Copy(w, answer)
		return err
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// get has take read the answer to a request.
func get(ctx context.Context, addr, path string, take func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", addr, err)
	}
	return do(req, addr, take)
}

// SetPath asks the admin port at addr to change the path called name. The error is ErrNotFound if there is none.
func SetPath(ctx context.Context, addr, token, name string, c PathChange) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	body, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("change path %s: %w", name, err)
	}
	return post(ctx, addr, token, "/paths/"+url.PathEscape(name), body)
}

// Drain asks the admin port at addr that the egress take no more sessions.
func Drain(ctx context.Context, addr, token string) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	return post(ctx, addr, token, "/drain", []byte("{}"))
}

func post(ctx context.Context, addr, token, path string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask %s: %w", addr, err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	return do(req, addr, func(io.Reader) error { return nil })
}

// EndConn asks the admin port at addr to reset the connection of that number. The error is ErrNotFound if there is none.
func EndConn(ctx context.Context, addr, token string, id uint64) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, fmt.Sprintf("http://%s/connections/%d", addr, id), nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", addr, err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return do(req, addr, func(io.Reader) error { return nil })
}

// do makes the request and has take read the answer.
func do(req *http.Request, addr string, take func(io.Reader) error) error {
	tr := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", addr, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxReason)) // what there is of it
		if resp.StatusCode == http.StatusNotFound && req.Method != http.MethodGet {
			return fmt.Errorf("ask %s: %w: %s", addr, ErrNotFound, strings.TrimSpace(string(text)))
		}
		return fmt.Errorf("ask %s: %s: %s", addr, resp.Status, strings.TrimSpace(string(text)))
	}
	if err := take(resp.Body); err != nil {
		return fmt.Errorf("ask %s: %w", addr, err)
	}
	return nil
}

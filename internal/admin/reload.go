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
	// reloadTime bounds a reload: key files and password hashes are read in no time, but
	// names of interfaces and a busy machine may take a while.
	reloadTime = 30 * time.Second
	// maxProblems is how much of a refused configuration's problems is worth reading.
	maxProblems = 64 << 10
)

// A ReloadError is a configuration that a running program has not taken. It is the
// program's own text: one line for each problem.
type ReloadError struct{ Text string }

func (e *ReloadError) Error() string { return e.Text }

// reload carries out POST /reload.
func (s *Server) reload(w http.ResponseWriter, _ *http.Request) {
	result, err := s.cfg.Reload()
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	s.writeJSON(w, result)
}

// Reload has the program whose admin port is at addr read its configuration again, and
// returns the JSON that it answers. A *ReloadError says that it keeps the old one.
func Reload(ctx context.Context, addr, token string) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, reloadTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/reload", strings.NewReader("{}"))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", addr, err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	tr := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", addr, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxProblems))
	switch {
	case err != nil:
		return nil, fmt.Errorf("ask %s: %w", addr, err)
	case resp.StatusCode == http.StatusUnprocessableEntity:
		return nil, &ReloadError{strings.TrimSpace(string(text))}
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("ask %s: %s: %s", addr, resp.Status, strings.TrimSpace(string(text[:min(len(text), maxReason)])))
	}
	return text, nil
}

// SetPAC changes Config.PAC; empty: there is none any more.
func (s *Server) SetPAC(text string) { s.pac.Store(&text) }

// servePAC answers with the proxy auto-configuration file.
func (s *Server) servePAC(w http.ResponseWriter, r *http.Request) {
	text := *s.pac.Load()
	if text == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/x-ns-proxy-autoconfig")
	_, _ = w.Write([]byte(text))
}

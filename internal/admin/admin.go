// Package admin is the port on which a running client or egress says how it
// does: a page for people at /, GET /status and /paths as JSON, /healthz and /readyz as a word, /metrics for Prometheus, at a client /proxy.pac,
// which tells programs how to use it, /trace, which goes on until the reader has
// enough, and, if it is told to, /debug/pprof/ with profiles for `go tool pprof`.
//
// Reading needs no password, so it listens on loopback alone, and
// answers only requests that name a loopback host: a web page that has its own
// name point to 127.0.0.1 (DNS rebinding) gets nothing. No page of another origin
// can read or run an answer: there is no CORS, and browsers are told so; what they say
// comes from such a page is refused, but for a link to the page at /. Requests are
// short and few are served at a time.
//
// POST /paths/NAME changes what a path is for, POST /reload has the configuration read
// again, DELETE /connections/NUMBER ends a connection. They need Config.Token, which
// only those know who may read the program's private key. The body of a POST is JSON, of
// /reload an empty object.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxConns is plenty for people and monitors, and little to hold.
	maxConns = 64
	// requestTime bounds reading a request and writing its answer.
	requestTime = 10 * time.Second
	// idleTime is how long a kept connection may wait for its next request.
	idleTime = 30 * time.Second
	// maxHeader bounds what a request may make us hold.
	maxHeader = 8 << 10
)

// PACPath is where the proxy auto-configuration file is.
const PACPath = "/proxy.pac"

// Config is what a Server needs.
type Config struct {
	Listen string       // loopback IP (or localhost) and port; required
	Status func() any   // the present state, as something json.Marshal takes; required
	PAC    string       // the proxy auto-configuration file; empty: there is none
	Logger *slog.Logger // nil discards
	// Trace writes lines of JSON that the query asks for to w until ctx ends or w
	// fails. Its error is for the reader. Nil: there is no /trace.
	Trace func(ctx context.Context, query url.Values, w io.Writer) error
	// Ready says why the program cannot do its work just now; nil if it can. A nil function: it always can.
	Ready func() error
	// Metrics answers GET /metrics. Nil: there is none.
	Metrics http.Handler
	// Page is the status page: it answers GET / and what is below GET /page/. Nil: there is none.
	Page http.Handler
	// SetPath carries out POST /paths/NAME; its error is for the asker, ErrNotFound
	// in it for a name that is not there. Nil: nothing can be changed.
	SetPath func(name string, c PathChange) error
	// Reload carries out POST /reload: the configuration is read again, and what has become
	// of it is answered as JSON. Its error is for the asker, who has changed nothing then.
	// Nil: that is not possible.
	Reload func() (any, error)
	// Conns are the connections that are open, as something json.Marshal takes. Nil: there is no /connections.
	Conns func() any
	// EndConn resets the connection of that number for DELETE /connections/NUMBER, and reports whether
	// there was one. Nil: none can be ended.
	EndConn func(id uint64) bool
	// Drain has the egress take no more sessions. Nil: there is no /drain.
	Drain func()
	// Token is what a request that changes something must name; needed with SetPath,
	// Reload, EndConn and Drain.
	Token string
	// Profile serves /debug/pprof/. Profiles name functions and count what they
	// cost; while one is taken the program is a little slower.
	Profile bool
}

// A Server answers on the admin port from New until Shutdown.
type Server struct {
	cfg  Config
	ln   net.Listener
	http *http.Server
	end  chan struct{} // closed when Shutdown begins
	once sync.Once     // for end
	pac  atomic.Pointer[string]
}

// New opens the port; Serve answers on it.
func New(cfg Config) (*Server, error) {
	if cfg.Status == nil {
		return nil, errors.New("admin: Status is missing")
	}
	if (cfg.SetPath != nil || cfg.Reload != nil || cfg.EndConn != nil || cfg.Drain != nil) && cfg.Token == "" {
		return nil, errors.New("admin: Token is missing")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin: Listen: %w", err)
	}
	if !isLoopback(host) {
		return nil, fmt.Errorf("admin: Listen: %s is not a loopback address", cfg.Listen)
	}
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	s := &Server{cfg: cfg, ln: ln, end: make(chan struct{})}
	s.SetPAC(cfg.PAC)
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: requestTime,
		ReadTimeout:       requestTime,
		WriteTimeout:      requestTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ConnState:         newPlaces(maxConns).changed,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Serve answers until Shutdown, and then returns nil.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

// Shutdown closes the port and waits for requests under way, until ctx ends;
// then they are cut.
func (s *Server) Shutdown(ctx context.Context) error {
	s.once.Do(func() { close(s.end) })
	err := s.http.Shutdown(ctx)
	if err != nil {
		_ = s.http.Close() // the time is up, and that is the error to tell
	}
	_ = s.ln.Close() // for the case that Serve was never called
	return err
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", s.readyz)
	if s.cfg.Metrics != nil {
		mux.Handle("GET /metrics", s.cfg.Metrics)
	}
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		s.writeJSON(w, s.cfg.Status())
	})
	mux.HandleFunc("GET /paths", func(w http.ResponseWriter, _ *http.Request) {
		paths, err := pathsOf(s.cfg.Status())
		if err != nil {
			s.failed(w, err)
			return
		}
		s.writeJSON(w, paths)
	})
	if s.cfg.Page != nil {
		mux.Handle("GET /{$}", s.cfg.Page)
		mux.Handle("GET /page/", s.cfg.Page)
	}
	if s.cfg.Conns != nil {
		mux.HandleFunc("GET /connections", func(w http.ResponseWriter, _ *http.Request) { s.writeJSON(w, s.cfg.Conns()) })
	}
	if s.cfg.EndConn != nil {
		mux.HandleFunc("DELETE /connections/{id}", s.mayChange(s.endConn))
	}
	if s.cfg.SetPath != nil {
		mux.HandleFunc("POST /paths/{name}", s.mayChange(s.setPath))
	}
	mux.HandleFunc("GET "+PACPath, s.servePAC)
	if s.cfg.Reload != nil {
		mux.HandleFunc("POST /reload", s.mayChange(s.reload))
	}
	if s.cfg.Trace != nil {
		mux.HandleFunc("GET /trace", s.trace)
	}
	if s.cfg.Drain != nil {
		mux.HandleFunc("POST /drain", s.mayChange(func(w http.ResponseWriter, _ *http.Request) {
			s.cfg.Drain()
			w.WriteHeader(http.StatusNoContent)
		}))
	}
	if s.cfg.Profile {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff") // and so no script of another page
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if !localHost(r.Host) {
			http.Error(w, "this port answers only to loopback names", http.StatusForbidden)
			return
		}
		if !ownPage(r) {
			http.Error(w, "this port answers no pages but its own", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// readyz answers what a balancer or a container's health check wants to know: whether
// to send work here. /healthz only says that the program runs.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if s.cfg.Ready != nil {
		if err := s.cfg.Ready(); err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	_, _ = w.Write([]byte("ready\n"))
}

// pathsOf picks the member paths out of a status. Which type a status has is
// not for this package to know; its JSON is the contract.
func pathsOf(status any) (json.RawMessage, error) {
	text, err := json.Marshal(status)
	if err != nil {
		return nil, err
	}
	var only struct {
		Paths json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(text, &only); err != nil {
		return nil, err
	}
	if only.Paths == nil {
		return json.RawMessage("[]"), nil
	}
	return only.Paths, nil
}

func (s *Server) writeJSON(w http.ResponseWriter, v any) {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		s.failed(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(text, '\n'))
}

func (s *Server) failed(w http.ResponseWriter, err error) {
	s.cfg.Logger.Error("admin status", "err", err)
	http.Error(w, "the status cannot be shown; the log says why", http.StatusInternalServerError)
}

// localHost says whether the Host header of a request names this machine.
func localHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	return isLoopback(host)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

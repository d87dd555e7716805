package admin

import (
	"context"
	"net/http"
	"time"
)

// trace answers with lines for as long as the reader wants them. Only a reader
// that does not take what it asked for is bounded in time.
func (s *Server) trace(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	ended := make(chan struct{})
	defer close(ended)
	go s.cancelAtEnd(cancel, ended)

	rc := http.NewResponseController(w)
	// The time for reading the request is over, and would end the answer too.
	_ = rc.SetReadDeadline(time.Time{}) // a server of net/http can
	l := &lines{w: w, rc: rc}
	if err := s.cfg.Trace(ctx, r.URL.Query(), l); err != nil && !l.begun {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

// cancelAtEnd ends a trace when the server does.
func (s *Server) cancelAtEnd(cancel context.CancelFunc, ended <-chan struct{}) {
	select {
	case <-s.end:
		cancel()
	case <-ended:
	}
}

// lines sends on at once what is written to it.
type lines struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	begun bool
}

func (l *lines) Write(b []byte) (int, error) {
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", "application/jsonl")
	}
	if err := l.rc.SetWriteDeadline(time.Now().Add(requestTime)); err != nil {
		return 0, err
	}
	n, err := l.w.Write(b)
	if err != nil {
		return n, err
	}
	return n, l.rc.Flush()
}

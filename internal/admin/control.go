package admin

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/mpsocks/mpsocks/internal/units"
)

// ErrNotFound says that what a change names is not there. It is answered 404.
var ErrNotFound = errors.New("not found")

// maxChange bounds the body of a change.
const maxChange = 4 << 10

// A PathChange is the body of POST /paths/NAME: a JSON object with what is to change.
type PathChange struct {
	Role    *string `json:"role,omitempty"`    // primary, secondary, backup or never
	Enabled *bool   `json:"enabled,omitempty"` // false: not used, whatever its role
	// RateLimit is in bits per second each way; 0: none.
	RateLimit *int64 `json:"rate_limit,omitempty"`
}

// String says what is to change.
func (c PathChange) String() string {
	var all []string
	if c.Enabled != nil {
		all = append(all, map[bool]string{true: "switched on", false: "switched off"}[*c.Enabled])
	}
	if c.Role != nil {
		all = append(all, "role "+*c.Role)
	}
	switch {
	case c.RateLimit == nil:
	case *c.RateLimit == 0:
		all = append(all, "no rate limit")
	default:
		all = append(all, "rate limit "+units.Rate(float64(*c.RateLimit)))
	}
	return strings.Join(all, ", ")
}

// empty reports whether nothing is to change.
func (c PathChange) empty() bool { return c == PathChange{} }

// mayChange lets requests through that prove that they may change something: they
// name the token, as `Authorization: Bearer TOKEN`. A web page does not know it, and
// a browser asks before it sends that header to another origin, which is refused;
// neither does another user of this machine.
func (s *Server) mayChange(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare([]byte(token), []byte(s.cfg.Token)) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="mpsocks"`)
			http.Error(w, "changes need the token that `mpsocks paths token -c FILE` shows", http.StatusUnauthorized)
			return
		}
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.Method == http.MethodPost && (err != nil || kind != "application/json") {
			http.Error(w, "a change is JSON, and says so in Content-Type", http.StatusUnsupportedMediaType)
			return
		}
		h(w, r)
	}
}

// endConn resets a connection.
func (s *Server) endConn(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil || !s.cfg.EndConn(id) {
		http.Error(w, "connection "+r.PathValue("id")+": "+ErrNotFound.Error()+"; it may have ended", http.StatusNotFound)
		return
	}
	s.cfg.Logger.Info("connection ended through the admin port", "conn", id)
	w.WriteHeader(http.StatusNoContent)
}

// setPath carries out a change; the next status shows it.
func (s *Server) setPath(w http.ResponseWriter, r *http.Request) {
	var c PathChange
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxChange))
	d.DisallowUnknownFields()
	err := d.Decode(&c)
	if err == nil && d.Decode(&struct{}{}) != io.EOF {
		err = errors.New("more than one object")
	}
	if err == nil && c.empty() {
		err = errors.New("nothing to change")
	}
	if err != nil {
		http.Error(w, "change: "+err.Error(), http.StatusBadRequest)
		return
	}
	switch err := s.cfg.SetPath(r.PathValue("name"), c); {
	case errors.Is(err, ErrNotFound):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		s.cfg.Logger.Info("path changed through the admin port", "path", r.PathValue("name"), "change", c.String())
		w.WriteHeader(http.StatusNoContent)
	}
}

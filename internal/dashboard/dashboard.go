// Package dashboard is the status page of the admin port: what the program does
// now, what it has done in the last five minutes, and what happened.
//
// A Page looks at the program once a second, whether anybody watches or not, so
// that whoever opens the page sees the minutes before. To those who watch it sends
// one picture a second as server-sent events (HTML, section 9.2). Everything is
// embedded; the page asks nobody but the port it came from, which its content
// security policy holds. Who may ask at all is for package admin to decide, and
// what is changed goes through its interface, with its token.
//
// Bounds: maxViewers watch at a time, each waits for one picture at most; the
// history has maxSeries series of span points; a picture has maxConns connections
// and the events that are new, of which maxEvents are kept.
package dashboard

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// every is how often the program is looked at.
	every = time.Second
	// maxViewers bounds who watches at a time: people, not monitors.
	maxViewers = 16
	// maxConns bounds the connections in a picture: the busiest, that is.
	maxConns = 100
	// sendTime is how long a viewer may take for a picture.
	sendTime = 10 * time.Second
)

// Conn is an open connection.
type Conn struct {
	ID       uint64    `json:"id"`
	Client   string    `json:"client"`
	Kind     string    `json:"kind"`
	Target   string    `json:"target"`
	Rule     string    `json:"rule,omitempty"`
	Paths    []string  `json:"paths,omitempty"`
	Up       int64     `json:"tx_bytes"`
	Down     int64     `json:"rx_bytes"`
	UpRate   float64   `json:"tx_rate"`
	DownRate float64   `json:"rx_rate"`
	Since    time.Time `json:"since"`
}

// Counter is how many bytes something, such as a path, has carried so far.
type Counter struct {
	Name     string
	Up, Down uint64
}

// Config is what a Page shows. Everything is required but Logger.
type Config struct {
	Version  string
	Status   func() any       // as for package admin
	Counters func() []Counter // of what has a chart: the paths of a client, the clients of an egress
	Conns    func() []Conn    // all that are open; rates are the Page's business
	Events   *Events
	Logger   *slog.Logger // nil discards
}

// Page is the status page, from New until Close.
type Page struct {
	cfg   Config
	boot  string // another one each time the program starts
	files http.Handler

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	history history
	rates   connRates
	viewers map[*viewer]struct{}
	sent    uint64 // the last event that went to the viewers
}

// viewer is somebody who watches. pictures holds the latest that was not sent yet.
type viewer struct{ pictures chan []byte }

//go:embed page
var embedded embed.FS

// New starts to look at the program.
func New(cfg Config) *Page {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	files, _ := fs.Sub(embedded, "page") // it is there, or this would not have been built
	p := &Page{cfg: cfg, boot: newBoot(), viewers: make(map[*viewer]struct{})}
	p.files = http.StripPrefix("/page/", http.FileServerFS(files))
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wg.Add(1)
	go p.watch()
	return p
}

func newBoot() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Close ends looking, and lets the viewers go.
func (p *Page) Close() {
	p.cancel()
	p.wg.Wait()
}

// policy lets the page load what this port serves and nothing else, and nobody
// show it in a frame.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// ServeHTTP serves / and what is below /page/.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	switch r.URL.Path {
	case "/":
		text, _ := embedded.ReadFile("page/index.html") // as above
		h.Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(text)
	case "/page/events":
		p.serveEvents(w, r)
	case "/page/":
		http.NotFound(w, r) // no list of files
	default:
		p.files.ServeHTTP(w, r)
	}
}

// watch looks once a second until Close.
func (p *Page) watch() {
	defer p.wg.Done()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		p.look(time.Now())
		select {
		case <-tick.C:
		case <-p.ctx.Done():
			return
		}
	}
}

// look takes one sample and gives the viewers a picture, if there are any.
func (p *Page) look(now time.Time) {
	counters := p.cfg.Counters()
	p.mu.Lock()
	p.history.sample(now, counters)
	watched := len(p.viewers) > 0
	if !watched {
		p.rates = connRates{}
	}
	p.mu.Unlock()
	if !watched {
		return
	}
	text, err := p.picture(now)
	if err != nil {
		p.cfg.Logger.Error("status page", "err", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for v := range p.viewers {
		v.give(text)
	}
}

// give replaces a picture that was not sent yet by a newer one.
func (v *viewer) give(text []byte) {
	select {
	case <-v.pictures:
	default:
	}
	v.pictures <- text
}

// A picture is what viewers are sent each second.
type picture struct {
	At     int64              `json:"at"` // milliseconds since 1970
	Status any                `json:"status"`
	Rates  map[string]*[2]int `json:"rates"` // bytes per second down and up, of the last second; null: unknown
	Conns  []Conn             `json:"conns"`
	Open   int                `json:"open"` // connections, of which conns are the busiest
	Last   uint64             `json:"last"` // the latest event's number
	Events []Event            `json:"events"`
}

func (p *Page) picture(now time.Time) ([]byte, error) {
	conns := p.cfg.Conns()
	pic := picture{At: now.UnixMilli(), Status: p.cfg.Status(), Open: len(conns)}
	p.mu.Lock()
	p.rates.rate(conns, now)
	pic.Rates = p.history.latest()
	pic.Events, pic.Last = p.cfg.Events.recent(p.sent)
	p.sent = pic.Last
	p.mu.Unlock()
	slices.SortStableFunc(conns, busier)
	pic.Conns = conns[:min(len(conns), maxConns)]
	return message("picture", pic)
}

// A greeting is what a viewer is sent first.
type greeting struct {
	Boot    string    `json:"boot"`
	Version string    `json:"version"`
	History series    `json:"history"`
	Events  []Event   `json:"events"`
	Now     time.Time `json:"now"`
}

func (p *Page) greeting(now time.Time) ([]byte, error) {
	events, _ := p.cfg.Events.since(0)
	p.mu.Lock()
	g := greeting{Boot: p.boot, Version: p.cfg.Version, History: p.history.all(), Events: events, Now: now}
	p.mu.Unlock()
	return message("hello", g)
}

// message is one server-sent event. JSON has no line ends of its own.
func message(name string, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, text), nil
}

var errTooMany = errors.New("too many people watch this page already; close another window")

func (p *Page) enter() (*viewer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.viewers) >= maxViewers {
		return nil, errTooMany
	}
	v := &viewer{pictures: make(chan []byte, 1)}
	p.viewers[v] = struct{}{}
	return v, nil
}

func (p *Page) leave(v *viewer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.viewers, v)
}

// serveEvents sends pictures until the viewer has gone or the Page is closed.
func (p *Page) serveEvents(w http.ResponseWriter, r *http.Request) {
	v, err := p.enter()
	if err != nil {
		w.Header().Set("Retry-After", "10")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer p.leave(v)
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{}) // the time for reading the request is over, and would end the answer too
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(text []byte) error {
		_ = rc.SetWriteDeadline(time.Now().Add(sendTime)) // what cannot: its own bound is left
		if _, err := w.Write(text); err != nil {
			return err
		}
		return rc.Flush()
	}
	text, err := p.greeting(time.Now())
	if err != nil {
		p.cfg.Logger.Error("status page", "err", err)
		return
	}
	for err = send(append([]byte("retry: 1000\n\n"), text...)); err == nil; err = send(text) {
		select {
		case text = <-v.pictures:
		case <-r.Context().Done():
			return
		case <-p.ctx.Done():
			return
		}
	}
}

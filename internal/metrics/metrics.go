// Package metrics shows a client or an egress to Prometheus.
//
// A Snapshot is what the program knows of itself at one moment; New makes a handler
// that asks for one at each scrape and writes it in the text or the OpenMetrics
// format, with what the Go runtime and the process have to say. Units are those of
// Prometheus: seconds, bytes, ratios of 0 to 1. What is unknown has no series.
//
// Label values come from the configuration (names of paths and clients) or from
// fixed lists (states, roles, reasons), never from what a peer sends, and are
// bounded all the same: MaxPaths, MaxClients and maxWords. What is beyond them is
// left out and counted by mpsocks_series_left_out.
package metrics

import (
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// MaxPaths bounds the paths that have series: a session takes 16, and a machine may see others come and go.
	MaxPaths = 64
	// MaxClients bounds the clients of an egress that have series.
	MaxClients = 1000
	// maxWords bounds the values of a label such as reason.
	maxWords = 32
	// scrapeTime bounds a scrape, and maxScrapes how many there are at a time.
	scrapeTime = 10 * time.Second
	maxScrapes = 4
)

// Snapshot is a client or an egress at one moment.
type Snapshot struct {
	Role      string // client or egress
	Version   string
	State     string // of the session, or of the egress
	Transport string // of a client
	Ready     bool
	Streams   int

	Egresses      []Egress // of a client that has several
	EgressChanges uint64   // how often new streams went to another one

	Paths     []Path
	Clients   []Client          // of an egress
	Conns     Conns             // all together
	Links     map[string]int    // at an egress: sessions and connections of clients, by transport
	UDP       UDP               // UDP ASSOCIATE
	Datagrams map[string]uint64 // of sessions, by what became of them; nil: none
	Accepted  uint64            // connections to the egress's port
	Refused   map[string]uint64 // of them, by reason
}

// Path is a path of a client.
type Path struct {
	Name, State, Role string

	RTT, MinRTT    time.Duration // zero: unknown
	Loss           *float64      // nil: unknown
	Share          float64
	Sent, Received uint64
	Cap            *Cap // nil: none
}

// Egress is one of several of a client.
type Egress struct {
	Name      string
	Up, InUse bool
	RTT       time.Duration // zero: unknown
	Streams   int
}

// Cap is what a path may carry in its period, and has.
type Cap struct{ Limit, Used uint64 }

// Client is a client of an egress.
type Client struct {
	Name     string
	Subflows int
	Conns    Conns
}

// Conns counts connections since the start.
type Conns struct {
	Open     int
	Opened   uint64
	Up, Down uint64
	Failed   map[string]uint64
	Odd      uint64 // SOCKS5 requests whose reserved byte was set; of a client
}

// UDP counts what was done for UDP ASSOCIATE.
type UDP struct {
	Associations int
	Up, Down     uint64
	Dropped      map[string]uint64
}

// States and roles that a path may have; a series for each, so that a graph shows changes.
var (
	States = []string{"new", "probing", "up", "suspect", "down", "cooldown", "standby"}
	Roles  = []string{"primary", "secondary", "backup", "never"}
)

// New returns a handler that answers scrapes with what look finds. Errors go to log.
func New(look func() Snapshot, log *slog.Logger) http.Handler {
	r := registry(look)
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelError),
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTime,
	})
}

func registry(look func() Snapshot) *prometheus.Registry {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(&collector{look}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// collector makes metrics of a Snapshot.
type collector struct{ look func() Snapshot }

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range all {
		out <- d.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.look()
	w := &writer{out: out}
	w.put(buildInfo, 1, s.Version, s.Role)
	w.put(ready, truth(s.Ready))
	w.put(streams, float64(s.Streams))
	w.conns(s)
	w.udp(s)
	if s.Role == "egress" {
		w.egress(s)
	} else {
		w.client(s)
	}
	w.put(leftOut, float64(w.left))
}

// writer sends metrics to a scrape.
type writer struct {
	out  chan<- prometheus.Metric
	left int
}

func (w *writer) put(d *metric, v float64, labels ...string) {
	w.out <- prometheus.MustNewConstMetric(d.desc, d.kind, v, labels...)
}

// words puts a value for each word of a label that is the last.
func (w *writer) words(d *metric, of map[string]uint64, labels ...string) {
	for i, word := range slices.Sorted(maps.Keys(of)) {
		if i >= maxWords {
			w.left++
			continue
		}
		w.put(d, float64(of[word]), append(slices.Clone(labels), strings.ReplaceAll(word, " ", "_"))...)
	}
}

// choice puts 1 for the word that is the case and 0 for the others.
func (w *writer) choice(d *metric, words []string, is string, labels ...string) {
	for _, word := range words {
		w.put(d, truth(word == is), append(slices.Clone(labels), word)...)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (w *writer) client(s Snapshot) {
	w.put(sessionUp, truth(s.State == "up"), s.Transport)
	w.put(oddRequests, float64(s.Conns.Odd))
	for _, e := range s.Egresses {
		w.put(egressUp, truth(e.Up), e.Name)
		w.put(egressInUse, truth(e.InUse), e.Name)
		w.put(egressStreams, float64(e.Streams), e.Name)
		if e.RTT > 0 {
			w.put(egressRTT, e.RTT.Seconds(), e.Name)
		}
	}
	if len(s.Egresses) > 0 {
		w.put(egressChanges, float64(s.EgressChanges))
	}
	seen := make(map[string]bool)
	for _, p := range s.Paths {
		if len(seen) >= MaxPaths || seen[p.Name] {
			w.left++
			continue
		}
		seen[p.Name] = true
		w.path(p)
	}
}

func (w *writer) path(p Path) {
	w.choice(pathState, States, p.State, p.Name)
	w.choice(pathRole, Roles, p.Role, p.Name)
	w.put(pathBytes, float64(p.Sent), p.Name, "sent")
	w.put(pathBytes, float64(p.Received), p.Name, "received")
	w.put(pathShare, p.Share, p.Name)
	if p.RTT > 0 {
		w.put(pathRTT, p.RTT.Seconds(), p.Name)
	}
	if p.MinRTT > 0 {
		w.put(pathMinRTT, p.MinRTT.Seconds(), p.Name)
	}
	if p.Loss != nil {
		w.put(pathLoss, *p.Loss, p.Name)
	}
	if p.Cap != nil {
		w.put(pathCapLimit, float64(p.Cap.Limit), p.Name)
		w.put(pathCapUsed, float64(p.Cap.Used), p.Name)
	}
}

func (w *writer) egress(s Snapshot) {
	w.put(egressListening, truth(s.State == "listening"))
	w.put(accepted, float64(s.Accepted))
	w.words(refused, s.Refused)
	for _, transport := range slices.Sorted(maps.Keys(s.Links)) {
		w.put(links, float64(s.Links[transport]), transport)
	}
	seen := make(map[string]bool)
	for _, c := range s.Clients {
		if len(seen) >= MaxClients || seen[c.Name] {
			w.left++
			continue
		}
		seen[c.Name] = true
		w.put(clientSubflows, float64(c.Subflows), c.Name)
		w.put(clientOpen, float64(c.Conns.Open), c.Name)
		w.put(clientOpened, float64(c.Conns.Opened), c.Name)
		w.put(clientBytes, float64(c.Conns.Up), c.Name, "up")
		w.put(clientBytes, float64(c.Conns.Down), c.Name, "down")
		w.words(clientFailures, c.Conns.Failed, c.Name)
	}
}

func (w *writer) conns(s Snapshot) {
	w.put(connsOpen, float64(s.Conns.Open))
	w.put(connsOpened, float64(s.Conns.Opened))
	w.put(connBytes, float64(s.Conns.Up), "up")
	w.put(connBytes, float64(s.Conns.Down), "down")
	w.words(connFailures, s.Conns.Failed)
}

func (w *writer) udp(s Snapshot) {
	w.put(udpAssociations, float64(s.UDP.Associations))
	w.put(udpDatagrams, float64(s.UDP.Up), "up")
	w.put(udpDatagrams, float64(s.UDP.Down), "down")
	w.words(udpDropped, s.UDP.Dropped)
	w.words(datagrams, s.Datagrams)
}

package bench

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// The page is the median desktop page of the HTTP Archive's Web Almanac 2024
// (chapter Page Weight, October 2024): images 1,054 KB in 18 requests,
// JavaScript 613 KB in 24, fonts 131 KB, CSS 78 KB, HTML 18 KB. It has 71
// requests; we leave out the small third-party ones of which no size is given.
// Within a kind, sizes are spread log-normally as sizes on the web are: a few
// large ones make up most of it.
var pageKinds = []struct {
	kind  string
	n     int
	total int64
	// after is the kind that mentions this one; a browser cannot ask earlier.
	after string
	// first is how many of them can only be drawn without: they block rendering.
	first int
}{
	{"html", 1, 18_000, "", 1},
	{"css", 7, 78_000, "html", 3},
	{"script", 24, 613_000, "html", 4},
	{"image", 18, 1_054_000, "html", 0},
	{"font", 5, 131_000, "css", 0},
	{"data", 5, 10_000, "script", 0},
}

const (
	pageConns   = 6   // what browsers open to one host with HTTP/1.1
	pageRequest = 600 // a request with a browser's usual headers
	pageSpread  = 1.0 // sigma of the sizes' logarithm
	pageSmall   = 300 // no object is smaller than its headers
	pageTimes   = 3
)

// pageObject is one thing to fetch.
type pageObject struct {
	size   int64
	parent int  // index of the object that mentions it, -1 for the first
	blocks bool // nothing is drawn before it is there
}

// pageTree is the page, the same in every run.
func pageTree() []pageObject {
	rng := rand.New(rand.NewPCG(2024, 16))
	var all []pageObject
	members := make(map[string][]int)
	for _, k := range pageKinds {
		for i, size := range spreadSizes(rng, k.n, k.total) {
			parent := -1
			if p := members[k.after]; len(p) > 0 {
				parent = p[rng.IntN(len(p))]
			}
			members[k.kind] = append(members[k.kind], len(all))
			all = append(all, pageObject{size: size, parent: parent, blocks: i < k.first})
		}
	}
	return all
}

// spreadSizes are n sizes that make up a total.
func spreadSizes(rng *rand.Rand, n int, total int64) []int64 {
	w := make([]float64, n)
	var sum float64
	for i := range w {
		w[i] = math.Exp(pageSpread * rng.NormFloat64())
		sum += w[i]
	}
	sizes := make([]int64, n)
	for i := range sizes {
		sizes[i] = max(pageSmall, int64(w[i]/sum*float64(total)))
	}
	return sizes
}

// page measures a browser's page load: objects become known when the object
// that mentions them has come, and are fetched over at most six connections,
// in the order in which they became known.
func page() Workload {
	return Workload{
		Name: "page", Title: "A web page of 60 objects and 1.9 MB, 6 connections",
		Metrics: []Metric{
			{"load", "time until everything is there", "ms", Lower},
			{"render", "time until something can be drawn", "ms", Lower},
		},
		Time: func(s *Setting) time.Duration {
			return pageTimes * (alone(s.bytes(1_900_000), s.Down) + 14*s.RTT)
		},
		Run: func(ctx context.Context, s *Setting, r *Record) error {
			var load, render []float64
			for i := range pageTimes {
				l := newPageLoad(pageTree(), s, i)
				if err := l.run(ctx); err != nil {
					return err
				}
				load, render = append(load, round(millis(l.done), 3)), append(render, round(millis(l.drawn), 3))
				r.Samples["object"] = append(r.Samples["object"], l.took...)
				r.Bytes += l.bytes
			}
			r.Samples["load"] = load
			r.Metrics["load"], r.Metrics["render"] = median(load), median(render)
			return nil
		},
	}
}

// pageLoad is one load of a page.
type pageLoad struct {
	s       *Setting
	round   int
	objects []pageObject
	start   time.Time

	mu       sync.Mutex // guards what follows
	changed  sync.Cond  // known has grown, or there is nothing more to wait for
	known    []int      // objects to be asked for, in order
	left     int        // objects that have not come yet
	blocking int        // of them, those that block drawing
	err      error
	took     []float64 // of every object, from being known to having come
	knownAt  []time.Time
	done     time.Duration
	drawn    time.Duration
	bytes    int64
}

func newPageLoad(objects []pageObject, s *Setting, round int) *pageLoad {
	l := &pageLoad{s: s, round: round, objects: objects, left: len(objects), knownAt: make([]time.Time, len(objects))}
	l.changed.L = &l.mu
	for _, o := range objects {
		if o.blocks {
			l.blocking++
		}
	}
	return l
}

func (l *pageLoad) run(ctx context.Context) error {
	l.start = time.Now()
	l.revealLocked(-1) // nobody else is there yet
	var wg sync.WaitGroup
	for range pageConns {
		wg.Go(func() { l.fail(l.worker(ctx)) })
	}
	wg.Wait()
	return l.err
}

// revealLocked makes the objects known that one mentions.
func (l *pageLoad) revealLocked(parent int) {
	for i, o := range l.objects {
		if o.parent == parent {
			l.known = append(l.known, i)
			l.knownAt[i] = time.Now()
		}
	}
	l.changed.Broadcast()
}

// next is an object to fetch, once there is one; false when there is nothing
// more to do.
func (l *pageLoad) next() (int, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.known) == 0 && l.left > 0 && l.err == nil {
		l.changed.Wait()
	}
	if l.err != nil || len(l.known) == 0 {
		return 0, false
	}
	i := l.known[0]
	l.known = l.known[1:]
	return i, true
}

// worker is one connection, opened when there is something for it.
func (l *pageLoad) worker(ctx context.Context) error {
	var c *targetConn
	for {
		i, ok := l.next()
		if !ok {
			return nil
		}
		if c == nil {
			var err error
			if c, err = l.s.dial(ctx); err != nil {
				return ended(ctx, err)
			}
			defer c.Close()
		}
		up, down := l.s.bytes(pageRequest), l.s.bytes(l.objects[i].size)
		if _, err := c.exchange(l.s.seed(l.round<<16+i), up, down); err != nil {
			return ended(ctx, err)
		}
		l.came(i, up+down)
	}
}

func (l *pageLoad) came(i int, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took = append(l.took, round(millis(time.Since(l.knownAt[i])), 3))
	l.bytes += n
	l.left--
	if l.objects[i].blocks {
		if l.blocking--; l.blocking == 0 {
			l.drawn = time.Since(l.start)
		}
	}
	if l.left == 0 {
		l.done = time.Since(l.start)
	}
	l.revealLocked(i)
}

// fail ends the load for everybody.
func (l *pageLoad) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
	l.changed.Broadcast()
}

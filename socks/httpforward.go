package socks

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/things-go/go-socks5/statute"

	"github.com/mpsocks/mpsocks/internal/relay"
)

// Bounds of plain HTTP proxying. A client that keeps its connection without a request, and a target that is kept without one, are let go.
const (
	forwardIdle       = 60 * time.Second
	forwardTargetIdle = 30 * time.Second
	forwardTargets    = 8               // idle connections kept for one client
	forwardContinue   = 1 * time.Second // for a target to say whether it wants the content (RFC 9110 section 10.1.1)
	forwardAnswerHead = 256 << 10       // bytes of an answer's head
	contentLinger     = 2 * time.Second // for what is left of a request that has its answer, or was refused
)

// forwarder serves requests in absolute-form (RFC 9112 section 3.2.2): what clients send a proxy for plain http URLs. HTTP itself, with its
// persistent connections, upgrades and hop-by-hop headers, is net/http's business; the forwarder only says where connections come from
// and what is refused.
//
// It sends no Via (RFC 9110 section 7.6.3 wants one), neither to targets nor back: nothing else that goes through this program tells a
// target that there is a proxy, and common servers answer whoever sends a Via without compression. What a Via is for, seeing a loop, is
// done otherwise: what reaches a proxy as if it were the target is in origin-form, and that is refused here.
type forwarder struct {
	f     *Front
	proxy *httputil.ReverseProxy

	start  sync.Once
	server *http.Server
	conns  handover
	served chan struct{} // closed when the server has ended; nil if it never began
}

func newForwarder(f *Front) *forwarder {
	w := &forwarder{f: f, conns: handover{c: make(chan net.Conn), closed: make(chan struct{})}}
	quiet := slog.NewLogLogger(f.log.Handler(), slog.LevelDebug)
	w.proxy = &httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      ownWay{},
		ModifyResponse: w.answered,
		FlushInterval:  -1, // a proxy holds nothing back
		ErrorHandler:   w.failed,
		ErrorLog:       quiet,
	}
	w.server = &http.Server{
		Handler:                      w,
		ReadHeaderTimeout:            max(f.cfg.HandshakeTimeout, 0),
		IdleTimeout:                  forwardIdle,
		DisableGeneralOptionsHandler: true,
		MaxHeaderBytes:               maxHTTPHead,
		ErrorLog:                     quiet,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, httpClientKey{}, c)
		},
	}
	return w
}

// newWay returns a way to targets for one client.
func (w *forwarder) newWay() *http.Transport {
	return &http.Transport{
		DialContext:            w.dial,
		DisableCompression:     true, // what the client did not ask for it must not get
		MaxIdleConns:           forwardTargets,
		IdleConnTimeout:        forwardTargetIdle,
		ExpectContinueTimeout:  forwardContinue,
		MaxResponseHeaderBytes: forwardAnswerHead,
	}
}

// ownWay sends each request by its client's own way.
type ownWay struct{}

func (ownWay) RoundTrip(r *http.Request) (*http.Response, error) {
	way := clientOf(r.Context()).way
	if r.Header.Get("Upgrade") != "" {
		return roundTripUpgrade(way, r)
	}
	return way.RoundTrip(r)
}

// rewrite makes the request to the target of the one from the client: the same, but for what net/http has taken away as hop-by-hop.
func rewrite(r *httputil.ProxyRequest) {
	r.Out.Host = r.In.Host
	setTarget(r.Out, originForm(r.In.RequestURI))
	r.Out.Trailer = r.In.Trailer // filled when the content has been read
	if r.Out.Body != nil {
		c := clientOf(r.In.Context())
		c.content = &content{ReadCloser: r.Out.Body, client: c}
		r.Out.Body = c.content
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if v, there := r.In.Header[name]; there {
			r.Out.Header[name] = v // ReverseProxy takes them away; what the client says of itself is its own
		}
	}
	if _, named := r.In.Header["User-Agent"]; !named {
		r.Out.Header["User-Agent"] = nil // keep net/http from adding its own
	}
	if hops, limited, _ := maxForwards(r.In); limited {
		r.Out.Header.Set("Max-Forwards", strconv.FormatUint(hops-1, 10)) // 0 is not forwarded
	}
}

// originForm returns what follows the host in the absolute-form of an http URL, byte for byte: servers tell /a%2Fb from /a/b, and sign
// what they were sent (RFC 9112 section 3.2.1).
func originForm(uri string) string {
	rest := uri[len("http://"):]
	i := strings.IndexAny(rest, "/?")
	switch {
	case i < 0:
		return ""
	case rest[i] == '?':
		return "/" + rest[i:]
	}
	return rest[i:]
}

// setTarget has r ask for target, in spite of net/url, which writes an URL in its own way. A target that begins with two slashes cannot
// stand alone there, so it goes in absolute-form if need be, which every server understands (RFC 9112 section 3.2.2).
func setTarget(r *http.Request, target string) {
	u := r.URL
	switch {
	case target == "" && r.Method == http.MethodOptions:
		u.Opaque = "*" // RFC 9112 section 3.2.4
	case target == "":
		u.Opaque = "/"
	case !strings.HasPrefix(target, "//"):
		u.Opaque = target
	case u.RequestURI() == target:
		return
	default:
		u.Opaque = "//" + u.Host + target
	}
	u.RawQuery, u.ForceQuery = "", false
}

// maxForwards returns how many more proxies may forward a request (RFC 9110 section 7.6.2), if it is one that counts them.
func maxForwards(r *http.Request) (hops uint64, limited bool, err error) {
	text := r.Header.Get("Max-Forwards")
	if text == "" || r.Method != http.MethodOptions && r.Method != http.MethodTrace {
		return 0, false, nil
	}
	hops, err = strconv.ParseUint(text, 10, 32)
	return hops, true, err
}

// serve serves one client's requests until its connection has ended.
func (w *forwarder) serve(c net.Conn, a *account) error {
	w.start.Do(func() {
		w.served = make(chan struct{})
		go w.run()
	})
	t := newHTTPClient(c, a, w.newWay(), orDefault(w.f.cfg.HalfClosedIdle, defaultHalfClosedIdle))
	select {
	case w.conns.c <- t:
	case <-w.conns.closed:
		_ = relay.Reset(c)
		return errShutdown
	}
	select {
	case <-t.ended:
		return nil
	case <-w.f.ctx.Done():
		_ = relay.Reset(c)
		return context.Cause(w.f.ctx)
	}
}

func (w *forwarder) run() {
	defer close(w.served)
	_ = w.server.Serve(&w.conns) // ends when conns is closed
}

// shutdown lets requests under way finish, closes idle connections, and ends with ctx.
func (w *forwarder) shutdown(ctx context.Context) {
	w.start.Do(func() {}) // not any more
	_ = w.conns.Close()
	if w.served != nil {
		_ = w.server.Shutdown(ctx)
		_ = w.server.Close()
		<-w.served
	}
}

// ServeHTTP forwards one request.
func (w *forwarder) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	c := clientOf(r.Context())
	asterisk := r.RequestURI == "*" && r.Method == http.MethodOptions // about this proxy (RFC 9110 section 9.3.7)
	hops, limited, err := maxForwards(r)
	switch {
	case r.Method == http.MethodConnect:
		refuse(rw, http.StatusBadRequest, "CONNECT needs a connection of its own")
	case strings.Contains(r.RequestURI, "#"): // RFC 9112 section 3.2
		refuse(rw, http.StatusBadRequest, "a request has no fragment (#) in its target")
	case !asterisk && (!r.URL.IsAbs() || r.URL.Scheme != "http" || r.URL.Host == ""):
		refuse(rw, http.StatusBadRequest, httpHint)
	case r.URL.User != nil: // RFC 9110 section 4.2.4
		refuse(rw, http.StatusBadRequest, "a URL must not have a user name in it")
	case w.permit(c, r) != nil:
		refuse(rw, http.StatusProxyAuthRequired, authHint)
	case err != nil:
		refuse(rw, http.StatusBadRequest, "Max-Forwards is not a number")
	case asterisk, limited && hops == 0 && r.Method == http.MethodOptions:
		rw.Header().Set("Content-Length", "0")
	case limited && hops == 0: // TRACE: a page must not get at what its browser sends a proxy
		refuse(rw, http.StatusMethodNotAllowed, "TRACE is not answered here")
	default:
		w.forward(rw, r, c)
	}
}

func (w *forwarder) forward(rw http.ResponseWriter, r *http.Request, c *httpClient) {
	// A target may answer while it is still being sent to; by default net/http would take the rest of the request away then.
	_ = http.NewResponseController(rw).EnableFullDuplex()
	rw.Header()["Content-Type"] = nil // keep net/http from guessing one
	defer func() {
		if r := recover(); r != nil {
			_ = relay.Reset(c.Conn) // an answer that is cut must not look like a whole one
			panic(r)
		}
	}()
	c.answer = rw
	c.follow(w.f.routes.Load())
	c.content = nil
	w.proxy.ServeHTTP(rw, r)
	if c.content != nil && !c.content.ended.Load() {
		c.owing.Store(true)
	}
}

// permit checks the client's name and password, if the front wants any.
func (w *forwarder) permit(c *httpClient, r *http.Request) error {
	a := w.f.policy.Load().accounts
	if a == nil {
		return nil
	}
	name, password, ok := basicAuth(r.Header.Get("Proxy-Authorization"))
	if !ok {
		return errAuth
	}
	if err := a.verify(r.Context(), sourceIP(c.RemoteAddr()), name, password); err != nil {
		return err
	}
	c.become(name)
	return nil
}

// dial connects to a target by the way that the rules say.
func (w *forwarder) dial(ctx context.Context, _, address string) (net.Conn, error) {
	target, err := ParseTarget(address)
	if err != nil {
		return nil, &unreached{err}
	}
	c := clientOf(ctx)
	req := &request{command: statute.CommandConnect, target: target, user: c.user, proxy: ProxyHTTP, account: c.account}
	conn, _, err := w.f.connect(ctx, req, w.f.route(req), sourceIP(c.RemoteAddr()), nil)
	if err != nil {
		return nil, &unreached{err}
	}
	c.account.goes(conn, target.String())
	return conn, nil
}

// unreached marks an error as one of getting a connection to a target, as opposed to one of using it.
type unreached struct{ error }

func (e *unreached) Unwrap() error { return e.error }

// failed answers for a target that could not be reached.
func (w *forwarder) failed(rw http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errUpgraded) {
		return
	}
	from := addrText(clientOf(r.Context()).RemoteAddr())
	w.f.note(from, r.URL.Host, err)
	w.f.log.Debug("request failed", "from", from, "to", r.URL.Host, "err", err)
	if isMalformed(r) {
		refuse(rw, http.StatusBadRequest, "the content of the request is malformed")
		return
	}
	if !errors.As(err, new(*unreached)) {
		refuse(rw, http.StatusBadGateway, "the target ended the connection before it answered, or its answer is not HTTP")
		return
	}
	w.f.ledger.failed("", ReplyFor(err))
	status, text := httpWords(err)
	refuse(rw, status, text)
}

// refuse answers with a status and one line for people, and ends the connection. Nothing the client sent is repeated to it.
func refuse(rw http.ResponseWriter, status int, text string) {
	_ = http.NewResponseController(rw).SetReadDeadline(time.Now().Add(contentLinger)) // nobody waits for the rest of what was refused
	h := rw.Header()
	h.Set("Content-Type", "text/plain")
	h.Set("Connection", "close")
	if status == http.StatusProxyAuthRequired {
		h.Set("Proxy-Authenticate", `Basic realm="mpsocks"`)
	}
	if status == http.StatusMethodNotAllowed {
		h.Set("Allow", "CONNECT, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT")
	}
	rw.WriteHeader(status)
	_, _ = rw.Write([]byte("mpsocks: " + text + "\n"))
}

// handover is a net.Listener whose connections are given to it.
type handover struct {
	c      chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// Accept waits for a connection.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.c:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close makes Accept fail.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr returns no address: connections come from the front's listeners.
func (h *handover) Addr() net.Addr { return &net.TCPAddr{} }

package socks

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"

	"github.com/mpsocks/mpsocks/internal/relay"
)

// Times of plain HTTP proxying. A client that keeps its connection without a request, and a target that is kept without one, are let go.
const (
	forwardIdle       = 60 * time.Second
	forwardTargetIdle = 30 * time.Second
	refusedLinger     = 2 * time.Second
	forwardTargets    = 8 // idle connections kept to one target
)

// forwarder serves requests in absolute-form (RFC 9112 section 3.2.2): what clients send a proxy for plain http URLs. HTTP itself, with its
// persistent connections, upgrades and hop-by-hop headers, is net/http's business; the forwarder only says where connections come from
// and what is refused.
type forwarder struct {
	f     *Front
	proxy *httputil.ReverseProxy
	way   *http.Transport

	start  sync.Once
	server *http.Server
	conns  handover
	served chan struct{} // closed when the server has ended; nil if it never began
}

func newForwarder(f *Front) *forwarder {
	w := &forwarder{f: f, conns: handover{c: make(chan net.Conn), closed: make(chan struct{})}}
	w.way = &http.Transport{
		DialContext:         w.dial,
		DisableCompression:  true, // what the client did not ask for it must not get
		MaxIdleConnsPerHost: forwardTargets,
		IdleConnTimeout:     forwardTargetIdle,
	}
	quiet := slog.NewLogLogger(f.log.Handler(), slog.LevelDebug)
	w.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.Host = r.In.Host
			r.Out.URL.RawQuery = r.In.URL.RawQuery // a proxy does not change it (RFC 9110 section 7.7)
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if v, there := r.In.Header[name]; there {
					r.Out.Header[name] = v // ReverseProxy takes them away; what the client says of itself is its own
				}
			}
			if _, named := r.In.Header["User-Agent"]; !named {
				r.Out.Header["User-Agent"] = nil // keep net/http from adding its own
			}
		},
		Transport:     w.way,
		FlushInterval: -1, // a proxy holds nothing back
		ErrorHandler:  w.failed,
		ErrorLog:      quiet,
	}
	w.server = &http.Server{
		Handler:                      w,
		ReadHeaderTimeout:            max(f.cfg.HandshakeTimeout, 0),
		IdleTimeout:                  forwardIdle,
		DisableGeneralOptionsHandler: true,
		MaxHeaderBytes:               maxHTTPHead,
		ErrorLog:                     quiet,
	}
	return w
}

// serve serves one client's requests until its connection has ended.
func (w *forwarder) serve(c net.Conn) error {
	w.start.Do(func() {
		w.served = make(chan struct{})
		go w.run()
	})
	t := &tracked{Conn: c, ended: make(chan struct{})}
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
	w.way.CloseIdleConnections()
}

// ServeHTTP forwards one request.
func (w *forwarder) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodConnect:
		refuse(rw, http.StatusBadRequest, "CONNECT needs a connection of its own")
	case !r.URL.IsAbs() || r.URL.Scheme != "http" || r.URL.Host == "":
		refuse(rw, http.StatusBadRequest, httpHint)
	default:
		if err := w.permit(r); err != nil {
			refuse(rw, http.StatusProxyAuthRequired, "user name and password required")
			return
		}
		// A target may answer while it is still being sent to; by default net/http would take the rest of the request away then.
		_ = http.NewResponseController(rw).EnableFullDuplex()
		w.proxy.ServeHTTP(rw, r)
	}
}

// permit checks the client's name and password, if the front wants any.
func (w *forwarder) permit(r *http.Request) error {
	a := w.f.http.accounts
	if a == nil {
		return nil
	}
	name, password, ok := basicAuth(r.Header.Get("Proxy-Authorization"))
	if !ok {
		return errAuth
	}
	from, err := net.ResolveTCPAddr("tcp", r.RemoteAddr)
	if err != nil {
		return errAuth
	}
	return a.verify(r.Context(), sourceIP(from), name, password)
}

// dial connects to a target through the egress.
func (w *forwarder) dial(ctx context.Context, _, address string) (net.Conn, error) {
	target, err := ParseTarget(address)
	if err != nil {
		return nil, err
	}
	egress, err := w.f.dial(ctx)
	if err != nil {
		return nil, err
	}
	ctx, stop := w.f.replyContext(ctx)
	defer stop()
	h := Handshake{Target: target}
	if _, err := h.Do(ctx, egress); err != nil {
		_ = relay.Reset(egress)
		return nil, err
	}
	return egress, nil
}

// failed answers for a target that could not be reached.
func (w *forwarder) failed(rw http.ResponseWriter, r *http.Request, err error) {
	w.f.log.Debug("request failed", "from", r.RemoteAddr, "to", r.URL.Host, "err", err)
	reply := ReplyFor(err)
	var settled *ReplyError
	if !errors.As(err, &settled) {
		refuse(rw, http.StatusBadGateway, "the target ended the connection before it answered")
		return
	}
	refuse(rw, reply.HTTPStatus(), reply.String())
}

// refuse answers with a status and one line for people, and ends the connection. Nothing the client sent is repeated to it.
func refuse(rw http.ResponseWriter, status int, text string) {
	_ = http.NewResponseController(rw).SetReadDeadline(time.Now().Add(refusedLinger)) // nobody waits for the rest of what was refused
	h := rw.Header()
	h.Set("Content-Type", "text/plain")
	h.Set("Connection", "close")
	if status == http.StatusProxyAuthRequired {
		h.Set("Proxy-Authenticate", `Basic realm="mpsocks"`)
	}
	rw.WriteHeader(status)
	_, _ = rw.Write([]byte("mpsocks: " + text + "\n"))
}

// tracked is a connection whose end can be waited for.
type tracked struct {
	net.Conn
	once  sync.Once
	ended chan struct{}
}

// Close ends the connection.
func (t *tracked) Close() error {
	defer t.once.Do(func() { close(t.ended) })
	return t.Conn.Close()
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

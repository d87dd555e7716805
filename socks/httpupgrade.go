package socks

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"

	"github.com/mpsocks/mpsocks/internal/relay"
)

// errUpgraded ends what httputil does for a request whose connections have been relayed: its own copy would tell one side that the other
// had ended when it was reset.
var errUpgraded = errors.New("connection was upgraded")

// upgradedConn is a target's connection after 101 (RFC 9110 section 15.2.2). Some of what the target has sent since may already have been
// read, so that reads go by the answer's body.
type upgradedConn struct {
	net.Conn
	body io.Reader
}

func (c *upgradedConn) Read(b []byte) (int, error) { return c.body.Read(b) }

// CloseWrite passes the end of stream on.
func (c *upgradedConn) CloseWrite() error { return closeWrite(c.Conn) }

// Reset breaks the connection off.
func (c *upgradedConn) Reset() error { return relay.Reset(c.Conn) }

// roundTripUpgrade sends a request that asks for another protocol. The body of an answer that grants it is an upgradedConn.
func roundTripUpgrade(way http.RoundTripper, r *http.Request) (*http.Response, error) {
	var c net.Conn
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { c = i.Conn }}
	resp, err := way.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err == nil && resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body = &upgradedConn{Conn: c, body: resp.Body}
	}
	return resp, err
}

// answered looks at a target's answer before the client gets it. When the target has granted an upgrade it takes both connections over,
// and relays as for CONNECT until they end.
func (w *forwarder) answered(resp *http.Response) error {
	if resp.StatusCode != http.StatusSwitchingProtocols {
		if hasDoubtfulLength(resp.Request) {
			resp.Header.Set("Connection", "close")
		}
		return nil
	}
	target, asked := resp.Body.(*upgradedConn)
	if !asked {
		return errors.New("target switched protocols unasked")
	}
	client := clientOf(resp.Request.Context())
	granted := *resp
	granted.Body = nil
	var head bytes.Buffer
	if err := granted.Write(&head); err != nil {
		return err
	}
	_, buffered, err := http.NewResponseController(client.answer).Hijack()
	if err != nil {
		return err
	}
	defer client.Close()
	early, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	up, down, err := relay.Pipe(w.f.ctx, relay.WithHead(client.Conn, early), relay.WithHead(target, head.Bytes()), client.account.relay(w.f.relay))
	w.f.log.Debug("upgraded connection ended", "from", addrText(client.RemoteAddr()), "to", resp.Request.URL.Host,
		"tx_bytes", up, "rx_bytes", down, "err", err)
	return errUpgraded
}

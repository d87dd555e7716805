package upstream

import (
	"errors"
	"io"
	"syscall"
	"testing"
)

func TestSetClientsEndsWhoIsRemoved(t *testing.T) {
	for _, transport := range []string{TransportMPTCP, TransportTCP} {
		t.Run(transport, func(t *testing.T) {
			out, in := newIdentity(t), newIdentity(t)
			e, _ := startEgress(t, []Identity{out, in}, nil)
			open := func(id Identity) (*Client, io.ReadWriteCloser) {
				c := startClient(t, id, e, func(c *ClientConfig) { c.Transport = transport })
				conn, err := c.Dial(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { conn.Close() })
				io.WriteString(conn, "x")
				if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
				return c, conn
			}
			_, leaving := open(out)
			_, staying := open(in)
			if err := e.SetClients([]ClientKey{{"client2", in.Public()}, {"new", newIdentity(t).Public()}}); err != nil {
				t.Fatal(err)
			}
			if _, err := leaving.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read of a removed client: %v, want ECONNRESET", err)
			}
			io.WriteString(staying, "y")
			if _, err := io.ReadFull(staying, make([]byte, 1)); err != nil {
				t.Errorf("read of a client that stays: %v", err)
			}
			eventually(t, "the removed client is gone", func() bool {
				return len(e.linksOf(func(l *link) bool { return l.client.Name == "client1" })) == 0
			})
		})
	}
}

func TestSetClientsChecks(t *testing.T) {
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, nil)
	if err := e.SetClients([]ClientKey{{"a", id.Public()}, {"b", id.Public()}}); err == nil {
		t.Error("SetClients with one key twice: no error")
	}
	if got := e.Clients(); len(got) != 1 || got[0] != (ClientKey{"client1", id.Public()}) {
		t.Errorf("clients after a refused change = %v, want those before", got)
	}
	if got := e.clientOf(newIdentity(t).Public()); got != "" {
		t.Errorf("client of an unknown key = %q", got)
	}
}

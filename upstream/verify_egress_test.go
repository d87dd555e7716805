package upstream

import (
	"crypto/tls"
	"net"
	"testing"
)

// asker is a client's connection of a first contact, and its exporter.
func asker(t *testing.T, id Identity, address string) (*tls.Conn, []byte) {
	t.Helper()
	cfg, err := contactTLS(id)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(raw, cfg)
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	b, err := binding(c)
	if err != nil {
		t.Fatal(err)
	}
	return c, b
}

func ask(c *tls.Conn, m verifyMessage) (verifyMessage, error) {
	if err := m.send(c); err != nil {
		return m, err
	}
	return readVerify(c)
}

// The egress agrees only with the client of the first path, about that attempt, while the first path lives, and if it has seen the same.
func TestVerifyAnswers(t *testing.T) {
	id, other, log := newIdentity(t), newIdentity(t), newJournal()
	e, addr := startEgress(t, []Identity{id, other}, func(c *EgressConfig) { c.Logger = log.logger() })
	lead, first := asker(t, id, addr)
	name := newContactID()
	if m, err := ask(lead, verifyMessage{kind: verifyHold, id: name}); err != nil || m.kind != verifyHeld {
		t.Fatalf("hold: %+v, %v", m, err)
	}
	check := func(who Identity, change func(*seen)) verifyMessage {
		t.Helper()
		c, second := asker(t, who, addr)
		s := seen{id: name, client: who.Public(), egress: e.cfg.Identity.Public(), first: first, second: second}
		change(&s)
		m, err := ask(c, verifyMessage{kind: verifyCheck, id: s.id, hash: s.hash(clientSaw)})
		if err != nil {
			t.Fatal(err)
		}
		if m.kind == verifySame && m.hash != s.hash(egressSaw) {
			t.Error("the egress agrees without proof")
		}
		return m
	}
	if m := check(id, func(*seen) {}); m.kind != verifySame {
		t.Errorf("the same on both paths: %+v", m)
	}
	if m := check(id, func(s *seen) { s.first = make([]byte, exporterLength) }); m.kind != verifyDiffers {
		t.Errorf("another first path: %+v", m)
	}
	log.wait(t, "WARN first contact: the client has seen something else")
	if m := check(id, func(s *seen) { s.egress = other.Public() }); m.kind != verifyDiffers {
		t.Errorf("another key on the first path: %+v", m)
	}
	if m := check(id, func(s *seen) { s.id = newContactID() }); m.kind != verifyUnknown {
		t.Errorf("another attempt: %+v", m)
	}
	if m := check(other, func(*seen) {}); m.kind != verifyUnknown {
		t.Errorf("another client: %+v", m)
	}
	again, _ := asker(t, id, addr)
	if m, err := ask(again, verifyMessage{kind: verifyHold, id: name}); err == nil {
		t.Errorf("the same name again: %+v", m)
	}
	_ = lead.Close()
	eventually(t, "the first path is forgotten", func() bool {
		_, ok := e.verifier.find(heldName{id.Public(), name})
		return !ok
	})
	if m := check(id, func(*seen) {}); m.kind != verifyUnknown {
		t.Errorf("after the end of the first path: %+v", m)
	}
}

// A client has few of these connections, other clients theirs, and they are gone when it is.
func TestVerifyBounds(t *testing.T) {
	id, other := newIdentity(t), newIdentity(t)
	e, addr := startEgress(t, []Identity{id, other}, nil)
	for range maxVerify {
		c, _ := asker(t, id, addr)
		if m, err := ask(c, verifyMessage{kind: verifyHold, id: newContactID()}); err != nil || m.kind != verifyHeld {
			t.Fatalf("hold: %+v, %v", m, err)
		}
	}
	many, _ := asker(t, id, addr)
	if m, err := ask(many, verifyMessage{kind: verifyHold, id: newContactID()}); err == nil {
		t.Errorf("one too many: %+v, want the end", m)
	}
	theirs, _ := asker(t, other, addr)
	if m, err := ask(theirs, verifyMessage{kind: verifyHold, id: newContactID()}); err != nil || m.kind != verifyHeld {
		t.Errorf("another client's: %+v, %v", m, err)
	}
	if err := e.SetClients(e.Clients()[1:]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "those of a removed client are gone", func() bool {
		e.verifier.mu.Lock()
		defer e.verifier.mu.Unlock()
		return e.verifier.conns[id.Public()] == 0 && len(e.verifier.held) == 1
	})
}

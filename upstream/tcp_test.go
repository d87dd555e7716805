package upstream

import (
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

func TestLoneOrder(t *testing.T) {
	cfg := ClientConfig{
		Egress: []string{"203.0.113.1:8443"}, Identity: newIdentity(t), EgressKey: newIdentity(t).Public(),
		Paths: []PathConfig{
			{Name: "spare", Role: RoleBackup}, {Name: "second", Role: RoleSecondary}, {Name: "a"}, {Name: "off", Role: RoleNever}, {Name: "b"},
		},
	}.withDefaults()
	w, err := newLone(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	order := func() (names []string) {
		for _, l := range w.lines.order(now) {
			names = append(names, l.Name)
		}
		return names
	}
	if got, want := order(), []string{"a", "b", "second", "spare"}; !slices.Equal(got, want) {
		t.Errorf("order = %v, want %v", got, want)
	}
	a := w.lines.list[2]
	a.err, a.when = errors.New("refused"), now.Add(-lineRest/2)
	if got, want := order(), []string{"b", "second", "spare", "a"}; !slices.Equal(got, want) {
		t.Errorf("order after a failure = %v, want %v", got, want)
	}
	a.when = now.Add(-2 * lineRest)
	if got, want := order(), []string{"a", "b", "second", "spare"}; !slices.Equal(got, want) {
		t.Errorf("order long after a failure = %v, want %v", got, want)
	}
}

func TestLoneTakesTheNextPath(t *testing.T) {
	id := newIdentity(t)
	e, address := startEgress(t, []Identity{id}, nil)
	dead := refusing(t)
	c := startClient(t, id, e, func(c *ClientConfig) {
		c.Transport = TransportTCP
		c.Paths = []PathConfig{{Name: "dead", Egress: []string{dead}}, {Name: "good", Egress: []string{address}}}
	})
	for range 3 {
		roundTrip(t, c, "hello")
	}
	st := c.Status()
	if st.Session.State != stateUp || st.Paths[0].State != stateDown || st.Paths[1].State != stateUp || st.Paths[1].Share != 1 {
		t.Errorf("status = %+v", st)
	}
}

func TestLoneClosesWithTheClient(t *testing.T) {
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, nil)
	c := startClient(t, id, e, func(c *ClientConfig) { c.Transport = TransportTCP })
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "x")
	io.ReadFull(conn, make([]byte, 1))
	if got := c.Status().Session.Streams; got != 1 {
		t.Errorf("streams = %d, want 1", got)
	}
	c.Close()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after the client's end: %v, want net.ErrClosed", err)
	}
	eventually(t, "the egress has noticed", func() bool { return e.Status().Session.Streams == 0 })
}

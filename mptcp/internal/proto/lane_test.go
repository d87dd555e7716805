package proto

import (
	"errors"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

func withPathChoice(c *Config) {
	c.Local.Features |= wire.FeaturePaths | wire.FeatureDatagrams
	c.Peer.Features |= wire.FeaturePaths | wire.FeatureDatagrams
}

// only is the set of these address IDs.
func only(ids ...uint8) (set PathSet) {
	set.Only = true
	for _, id := range ids {
		set.Add(id)
	}
	return set
}

// sent is how many octets of payload a side has given to each path.
func (d *duo) sent(side int) (n []uint64) {
	for _, p := range d.paths {
		n = append(n, p[side].out.octets)
	}
	return n
}

// tied opens a stream on set and sends octets both ways.
func (d *duo) tied(set PathSet, n int) (near, far *Stream) {
	d.t.Helper()
	near, err := d.sides[client].OpenStream(d.now)
	if err == nil {
		err = near.SetPaths(d.now, set)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	put(near, n)
	d.rest()
	if far = d.sides[egress].streams[near.id]; far == nil {
		d.t.Fatal("the peer has no stream")
	}
	put(far, n)
	d.rest()
	return near, far
}

// Octets of a stream that is tied to a path take no other one, either way; those of others go on as ever.
func TestTiedToOnePath(t *testing.T) {
	d := twoPaths(t, withPathChoice)
	near, far := d.tied(only(1), 50_000)
	if up, down := d.sent(client), d.sent(egress); up[0] != 0 || up[1] != 50_000 || down[0] != 0 || down[1] != 50_000 {
		t.Errorf("up %v, down %v octets by path, want all of them by the second", up, down)
	}
	if n := take(t, d.now, near) + take(t, d.now, far); n != 100_000 {
		t.Errorf("%d octets arrived", n)
	}
	if !near.paths.known() {
		t.Error("the peer has not been told for good")
	}
	d.open(client, 1000)
	if up := d.sent(client); up[0] != 1000 {
		t.Errorf("up %v: a stream that is not tied left its path", up)
	}
}

// A path that dies holds its streams up, and nobody else; they go on when it is back.
func TestTiedPathDies(t *testing.T) {
	d := twoPaths(t, withPathChoice)
	near, far := d.tied(only(1), 1000)
	for side, s := range d.sides {
		s.RemoveSubflow(d.now, d.paths[1][side])
	}
	put(near, 3000)
	put(far, 3000)
	other, _ := d.open(client, 5000)
	d.rest()
	if up := d.sent(client); up[0] != 5000 || near.unsent() != 3000 || other.unsent() != 0 {
		t.Errorf("up %v, %d octets wait; want those of the other stream on the first path only", up, near.unsent())
	}
	d.wires[1] = [2][][]byte{}
	for side, s := range d.sides {
		sf, err := s.AddSubflow(d.now, 1, 0, sched.Primary, false, 40*ms)
		if err != nil {
			t.Fatal(err)
		}
		d.paths[1][side] = sf
	}
	d.rest()
	if n := take(t, d.now, near) + take(t, d.now, far); n != 2*1000+2*3000 {
		t.Errorf("%d octets arrived after the path came back", n)
	}
}

// What was on its way on a path that died goes by another one that is allowed, and by no other.
func TestTiedReinjection(t *testing.T) {
	d := newDuo(t, roomyHello, withPathChoice)
	for range 3 {
		d.path(30*ms, sched.Primary)
	}
	d.settle()
	near, far := d.tied(only(0, 2), 1000)
	put(near, 20_000)
	d.poll(client, 0)
	d.wires[0][client] = nil // lost
	lost := d.sent(client)[0]
	d.sides[client].RemoveSubflow(d.now, d.paths[0][client])
	d.sides[egress].RemoveSubflow(d.now, d.paths[0][egress])
	d.rest()
	if up := d.sent(client); lost == 0 || up[1] != 0 || near.unsent() != 0 {
		t.Errorf("up %v, lost %d", up, lost)
	}
	if n := take(t, d.now, far); n != 21_000 {
		t.Errorf("%d octets arrived, want 21000", n)
	}
}

// Streams whose paths stay away break after the linger time, on both sides.
func TestTiedPathStaysAway(t *testing.T) {
	d := twoPaths(t, withPathChoice)
	near, far := d.tied(only(1), 1000)
	take(t, d.now, near)
	take(t, d.now, far)
	for side, s := range d.sides {
		s.RemoveSubflow(d.now, d.paths[1][side])
	}
	put(near, 10)
	d.wait(leastLaneLinger - time.Second)
	d.settle()
	if near.gone || far.gone {
		t.Fatal("the stream was given up before its time")
	}
	d.wait(2 * time.Second)
	d.settle()
	if _, code := near.ReadErr(); code != CodeNoPath || near.WriteErr() != CodeNoPath || !near.gone {
		t.Errorf("the opener's end: %v, %v", code, near.WriteErr())
	}
	if _, code := far.ReadErr(); code != CodeNoPath && code != CodeGone || !far.gone {
		t.Errorf("the other end: %v", code)
	}
	if n := len(d.sides[client].snd.lanes) + len(d.sides[egress].snd.lanes); n != 0 {
		t.Errorf("%d lanes are left", n)
	}
	d.open(client, 100)
}

// Everything goes by two paths, either way.
func TestRedundantStream(t *testing.T) {
	d := twoPaths(t, withPathChoice)
	near, err := d.sides[client].OpenStream(d.now)
	if err == nil {
		err = near.SetPaths(d.now, PathSet{Redundant: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	put(near, 5000)
	for range 3 { // nothing is reported before all have been asked
		for p := range d.paths {
			d.poll(client, p)
		}
	}
	sum := uint64(0)
	for _, n := range d.sent(client) {
		sum += n
	}
	if sum != 10_000 {
		t.Errorf("%v octets by path, want each octet twice", d.sent(client))
	}
	d.rest()
	far := d.sides[egress].streams[near.id]
	if !far.paths.set.Redundant || take(t, d.now, far) != 5000 {
		t.Errorf("the other side: %+v", far.paths)
	}
}

// Backups are left out even if nothing else is there, unless they are named.
func TestNoBackup(t *testing.T) {
	d := newDuo(t, roomyHello, withPathChoice)
	d.path(30*ms, sched.Primary)
	d.path(30*ms, sched.Backup)
	d.settle()
	near, _ := d.tied(PathSet{NoBackup: true}, 1000)
	named, _ := d.tied(only(1), 700) // which takes the backup at once
	if up := d.sent(client); up[0] != 1000 || up[1] != 700 {
		t.Errorf("up %v", up)
	}
	for side, s := range d.sides {
		s.RemoveSubflow(d.now, d.paths[0][side])
	}
	put(near, 500)
	put(named, 300)
	d.open(client, 200)
	d.rest()
	if up := d.sent(client); up[1] != 1200 || near.unsent() != 500 {
		t.Errorf("up %v, %d octets wait; want those of the stream without backups", up, near.unsent())
	}
}

// What tells of the paths may be lost with its path, and may be overtaken.
func TestPathsAreTold(t *testing.T) {
	d := twoPaths(t, withPathChoice)
	near, err := d.sides[client].OpenStream(d.now)
	if err != nil {
		t.Fatal(err)
	}
	if err := near.SetPaths(d.now, only(0, 1)); err != nil {
		t.Fatal(err)
	}
	put(near, 100)
	d.settle()
	first := &wire.Paths{Version: 0, Only: true, N: 1, IDs: [wire.MaxPathIDs]uint8{9}}
	if err := near.SetPaths(d.now, only(1)); err != nil {
		t.Fatal(err)
	}
	best := d.sides[client].best()
	path := d.pathOf(client, best)
	d.poll(client, path)
	d.wires[path][client] = nil // lost
	for side, s := range d.sides {
		s.RemoveSubflow(d.now, d.paths[path][side])
	}
	d.rest()
	far := d.sides[egress].streams[near.id]
	if far.paths.set != only(1) || far.paths.version != 1 || !near.paths.known() {
		t.Errorf("the peer believes in %+v", far.paths)
	}
	if err := d.sides[egress].tie(&incoming{now: d.now}, far, first); err != nil || far.paths.set != only(1) {
		t.Errorf("an old version counted: %v, %+v", err, far.paths)
	}
}

func TestPathsRefused(t *testing.T) {
	old := twoPaths(t)
	st, err := old.sides[client].OpenStream(old.now)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.SetPaths(old.now, only(1)); !errors.Is(err, ErrNoPathChoice) {
		t.Errorf("with a peer that does not know paths: %v", err)
	}
	if err := st.SetPaths(old.now, PathSet{Redundant: true}); err != nil {
		t.Errorf("redundant, with a peer that does not know paths: %v", err)
	}
	put(st, 100)
	old.rest()
	if n := take(t, old.now, old.sides[egress].streams[st.id]); n != 100 {
		t.Errorf("%d octets arrived", n)
	}
	paths := (&wire.Paths{Only: true}).Append(wire.Append32(nil, wire.PrivStream, uint32(st.id)))
	wantSubflowError(t, old.give(egress, 0, paths, nil), option.ReasonMPTCP)

	d := twoPaths(t, withPathChoice)
	near, _ := d.open(client, 10)
	wantSubflowError(t, d.give(client, 0, (&wire.Paths{}).Append(wire.Append32(nil, wire.PrivStream, uint32(near.id))), nil), option.ReasonMPTCP)
	d = twoPaths(t, withPathChoice)
	var all []*Stream
	for range maxLanes + 1 {
		st, _ := d.open(client, 10)
		all = append(all, st)
	}
	for i, st := range all { // each another set
		w := wire.Paths{Only: true, N: 2, IDs: [wire.MaxPathIDs]uint8{uint8(i), 200}}
		err = d.give(egress, 0, w.Append(wire.Append32(nil, wire.PrivStream, uint32(st.id))), nil)
	}
	wantSubflowError(t, err, option.ReasonTooMuchData)
}

// Datagrams of a tied stream keep to its paths, too; by two if it is redundant.
func TestTiedDatagrams(t *testing.T) {
	d := newDuo(t, roomyHello, withPathChoice)
	for range 3 {
		d.path(30*ms, sched.Primary)
	}
	d.settle()
	send := func(st *Stream, n int) {
		for range n {
			buf := bufpool.Get(1000)
			if err := st.SendDatagram(d.now, buf); err != nil {
				t.Fatal(err)
			}
		}
	}
	near, far := d.tied(only(2), 1)
	up, down := d.sent(client), d.sent(egress)
	send(near, 5)
	send(far, 4)
	d.rest()
	if after, back := d.sent(client), d.sent(egress); after[0] != up[0] || after[1] != up[1] || after[2] != up[2]+5000 || back[2] != down[2]+4000 {
		t.Errorf("up %v, down %v octets by path, before %v and %v; want all by the third", after, back, up, down)
	}
	double, _ := d.tied(PathSet{Redundant: true}, 1)
	before := d.sides[client].dgrams.count
	send(double, 3)
	for range 2 {
		for p := range d.paths {
			d.poll(client, p)
		}
	}
	if c := d.sides[client].dgrams.count; c.Sent-before.Sent != 3 || c.Copies-before.Copies != 3 {
		t.Errorf("%+v, before %+v; want three sent, each with a copy", c, before)
	}
}

// tiedGoodput measures transfers that are tied to paths, beside one that is not, on lines of these rates; in Mbit/s.
func tiedGoodput(t *testing.T, up bool, sets ...PathSet) (got []float64) {
	sim := newLab([]line{{20, 30 * ms}, {10, 60 * ms}}, nil)
	for _, p := range sim.peers {
		withPathChoice(&p.s.cfg)
	}
	client, egress, reader := simSide{}, simSide{write: bulk}, sim.peers[0]
	if up {
		client, egress, reader = egress, client, sim.peers[1]
	}
	for i, set := range sets {
		sim.stream(500*ms+time.Duration(i), client, egress)
		sim.clock.at(time.Second+501*ms, func() {
			if err := sim.peers[0].apps[i].st.SetPaths(sim.clock.now, set); err != nil {
				t.Error(err)
			}
			sim.peers[0].drain()
		})
	}
	sim.play(t, 5*time.Second)
	start := make([]int, len(sets))
	for i, a := range reader.apps {
		start[a.st.id/2] = a.read
		_ = i
	}
	sim.play(t, 15*time.Second)
	got = make([]float64, len(sets))
	for _, a := range reader.apps {
		got[a.st.id/2] = float64(a.read-start[a.st.id/2]) * 8 / 1e6 / 10
	}
	return got
}

// A stream gets what its paths carry, and shares them with others.
func TestTiedGoodput(t *testing.T) {
	loneGoroutine(t)
	for _, up := range []bool{false, true} {
		alone := tiedGoodput(t, up, only(1))
		if alone[0] < 9 || alone[0] > 10 {
			t.Errorf("up %v: tied to the line of 10 Mbit/s: %.2f", up, alone[0])
		}
		both := tiedGoodput(t, up, only(0, 1))
		if both[0] < 27.5 {
			t.Errorf("up %v: tied to both lines, of 30 Mbit/s: %.2f", up, both[0])
		}
		shared := tiedGoodput(t, up, only(1), PathSet{})
		if shared[0] < 3 || shared[0]+shared[1] < 27 {
			t.Errorf("up %v: one tied to the line of 10, one to none: %.2f", up, shared)
		}
		apart := tiedGoodput(t, up, only(0), only(1))
		if apart[0] < 18 || apart[1] < 9 {
			t.Errorf("up %v: each tied to a line, of 20 and 10: %.2f", up, apart)
		}
		twice := tiedGoodput(t, up, PathSet{Redundant: true})
		if twice[0] < 9 || twice[0] > 20 {
			t.Errorf("up %v: by two lines: %.2f", up, twice[0])
		}
		t.Logf("up %v: alone %.2f, both %.2f, shared %.2f, apart %.2f, twice %.2f", up, alone, both, shared, apart, twice)
	}
}

package proto

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/key"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

var allModes = []StartMode{StartExt, StartSim, StartTimer, StartIPS, StartSingle}

// When the session is up and when both paths are usable, in virtual time: a carrier takes two round trips, MP_CAPABLE two, merging two, MP_JOIN two.
func TestOpeningSituations(t *testing.T) {
	const never = time.Duration(-1)
	type times struct{ session, both time.Duration }
	for _, tc := range []struct {
		name string
		rtts []time.Duration
		dead int // path that is silent from the start; -1: none
		want map[StartMode]times
	}{
		{"equal", []time.Duration{50 * ms, 50 * ms}, -1, map[StartMode]times{
			StartExt: {200 * ms, 200 * ms}, StartSim: {200 * ms, 300 * ms}, StartTimer: {200 * ms, 400 * ms}, StartIPS: {200 * ms, 400 * ms}, StartSingle: {200 * ms, 400 * ms},
		}},
		{"10 and 100 ms, the slow one first", []time.Duration{100 * ms, 10 * ms}, -1, map[StartMode]times{
			StartExt: {40 * ms, 400 * ms}, StartSim: {40 * ms, 400 * ms}, StartTimer: {290 * ms, 500 * ms}, StartIPS: {290 * ms, 500 * ms}, StartSingle: {400 * ms, 440 * ms},
		}},
		{"first silent", []time.Duration{30 * ms, 60 * ms}, 0, map[StartMode]times{
			StartExt: {240 * ms, never}, StartSim: {240 * ms, never}, StartTimer: {490 * ms, never}, StartIPS: {490 * ms, never}, StartSingle: {never, never},
		}},
		{"second silent", []time.Duration{30 * ms, 60 * ms}, 1, map[StartMode]times{
			StartExt: {120 * ms, never}, StartSim: {120 * ms, never}, StartTimer: {120 * ms, never}, StartIPS: {120 * ms, never}, StartSingle: {120 * ms, never},
		}},
	} {
		for _, mode := range allModes {
			t.Run(tc.name+"/"+mode.String(), func(t *testing.T) {
				n := newOpenNet(t, mode, tc.rtts...)
				n.cfg.Reliable = true
				if tc.dead >= 0 {
					n.dead[tc.dead] = true
				}
				n.run(time.Minute, n.allUp)
				got := times{never, never}
				if n.up != 0 {
					got.session = n.up - time.Second
				}
				if n.allUp() {
					got.both = max(n.paths[0].up, n.paths[1].up) - time.Second
				}
				if want := tc.want[mode]; got != want {
					t.Errorf("session up after %v and both paths after %v, want %v and %v", got.session, got.both, want.session, want.both)
				}
				if got.session != never && n.handed != 1 {
					t.Errorf("the responder's application was given %d sessions, want 1", n.handed)
				}
			})
		}
	}
}

// With the C flag (RFC 8684, section 3.1) no path joins at the address that the first one came to: those that lead there are dropped, and join where the
// responder says.
func TestOpeningElsewhere(t *testing.T) {
	for _, mode := range allModes {
		for _, rtts := range [][]time.Duration{{50 * ms, 50 * ms}, {100 * ms, 10 * ms}, {20 * ms, 50 * ms, 30 * ms}} {
			n := newOpenNet(t, mode, rtts...)
			n.cfg.Reliable, n.balanced = true, true
			n.run(time.Minute, n.allUp)
			n.check()
			if !n.allUp() || n.handed != 1 || n.merges != 0 {
				t.Errorf("%v, %v: all up: %v, %d sessions, %d merged; want all, 1 and 0", mode, rtts, n.allUp(), n.handed, n.merges)
			}
			for i, p := range n.paths {
				if p.up != 0 && (p.by == "MP_CAPABLE") != (i == n.lead) || i != n.lead && (p.carry == nil || !p.carry.announced) {
					t.Errorf("%v, %v: path %d is there by %s, and path %d began", mode, rtts, i, p.by, n.lead)
				}
			}
		}
	}
}

// Each message of each handshake is lost once: the start takes longer, and comes to the same.
func TestOpeningLosesOne(t *testing.T) {
	for _, mode := range allModes {
		for _, rtts := range [][]time.Duration{{50 * ms, 50 * ms}, {100 * ms, 10 * ms}, {20 * ms, 50 * ms}} {
			clean := newOpenNet(t, mode, rtts...)
			clean.run(time.Minute, clean.allUp)
			clean.check()
			took := max(clean.paths[0].up, clean.paths[1].up)
			for _, name := range clean.names() {
				for path := range rtts {
					t.Run(fmt.Sprintf("%v/%v/%s/path %d", mode, rtts, name, path), func(t *testing.T) {
						n := newOpenNet(t, mode, rtts...)
						lost := 0
						n.fate = func(m openMessage) []time.Duration {
							if m.name == name && m.path == path && lost == 0 {
								lost++
								return nil
							}
							return []time.Duration{0}
						}
						n.run(time.Minute, n.allUp)
						n.check()
						if !n.allUp() {
							t.Fatal("not all paths came up")
						}
						if late := max(n.paths[0].up, n.paths[1].up) - took; late < 0 && lost > 0 || late > 3*time.Second {
							t.Errorf("it took %v longer than without the loss", late)
						}
						if n.up-clean.up > 3*time.Second {
							t.Errorf("the session was up %v later than without the loss", n.up-clean.up)
						}
					})
				}
			}
		}
	}
}

// Whatever a network does with the messages, and connections with themselves, every start comes to one session over all paths.
func TestOpeningFuzz(t *testing.T) {
	seeds := 400
	if testing.Short() {
		seeds = 60
	}
	for seed := range seeds {
		for _, mode := range allModes {
			rng := rand.New(rand.NewPCG(uint64(seed), 7)) // the same for all modes
			var rtts []time.Duration
			for range 2 + rng.IntN(4) {
				rtts = append(rtts, time.Duration(1+rng.IntN(300))*ms)
			}
			t.Run(fmt.Sprintf("%v/seed=%d", mode, seed), func(t *testing.T) {
				n := newOpenNet(t, mode, rtts...)
				n.noMerge = rng.IntN(5) == 0
				loss, twice, late := rng.Float64()*0.35, rng.Float64()*0.3, rng.Float64()*0.5
				n.fate = func(openMessage) (all []time.Duration) {
					for range 1 + map[bool]int{true: 1}[rng.Float64() < twice] {
						d := time.Duration(0)
						if rng.Float64() < late {
							d = time.Duration(rng.Int64N(int64(800 * ms)))
						}
						if rng.Float64() >= loss {
							all = append(all, d)
						}
					}
					return all
				}
				n.run(10*time.Minute, n.allUp)
				n.check()
				if !n.allUp() {
					t.Error("not all paths came up")
				}
				if most := 2 * maxStarts * len(rtts); n.mostHalf > most {
					t.Errorf("%d half-open sessions at a time, want at most %d", n.mostHalf, most)
				}
			})
		}
	}
}

// Carriers that repeat what is lost themselves: the start never repeats, and a path that breaks anywhere is dialled again.
func TestOpeningReliable(t *testing.T) {
	for _, mode := range allModes {
		for _, name := range []string{nameSYN, nameSYNACK, nameACK, nameConfirm, nameMerge, nameJoinSYN, nameJoinSYNACK, nameJoinACK, nameJoinConfirm} {
			for path := range 2 {
				t.Run(fmt.Sprintf("%v/%s/path %d", mode, name, path), func(t *testing.T) {
					n := newOpenNet(t, mode, 20*ms, 50*ms)
					n.cfg.Reliable = true
					broke := false
					n.fate = func(m openMessage) []time.Duration {
						if c := n.paths[m.path].carry; m.name == name && m.path == path && !broke {
							broke = true
							n.after(0, func() {
								if n.paths[m.path].carry == c && !c.joined {
									c.drop()
								}
							})
							return nil
						}
						return []time.Duration{0}
					}
					n.run(time.Minute, n.allUp)
					n.check()
					if !n.allUp() {
						t.Error("not all paths came up")
					}
				})
			}
		}
	}
}

// dropAll loses every message of that name.
func dropAll(name string) func(openMessage) []time.Duration {
	return func(m openMessage) []time.Duration {
		if m.name == name {
			return nil
		}
		return []time.Duration{0}
	}
}

// MP_JOIN_CAP is repeated when it is lost, and given up for an ordinary join when it never arrives, or is stripped.
func TestMergeLost(t *testing.T) {
	n := newOpenNet(t, StartExt, 50*ms, 50*ms)
	lost := false
	n.fate = func(m openMessage) []time.Duration {
		if m.name == nameMerge && !lost {
			lost = true
			return nil
		}
		return []time.Duration{0}
	}
	n.run(time.Minute, n.allUp)
	if by := n.paths[1].by; by != "MP_JOIN_CAP" {
		t.Errorf("after a loss the second path joined by %s, want MP_JOIN_CAP repeated", by)
	}
	for name, set := range map[string]func(*openNet){
		"lost": func(n *openNet) { n.fate = dropAll(nameMerge) },
		"stripped": func(n *openNet) {
			n.alter = func(m openMessage, rec []byte) []byte {
				if m.name == nameMerge {
					return record(nil)
				}
				return rec
			}
		},
		"its acknowledgement lost": func(n *openNet) {
			n.fate = func(m openMessage) []time.Duration {
				if m.name == nameConfirm && m.path == 1 {
					return nil
				}
				return []time.Duration{0}
			}
		},
	} {
		n := newOpenNet(t, StartExt, 50*ms, 50*ms)
		set(n)
		n.run(time.Minute, n.allUp)
		n.check()
		if p := n.paths[1]; p.up == 0 || p.by != "MP_JOIN" || p.dials != 1 {
			t.Errorf("%s always: the second path came up at %v by %q after %d dials, want MP_JOIN on the same carrier", name, p.up, p.by, p.dials)
		}
	}
}

// MP_JOIN_CAP that comes before the ACK of the session it is about makes both flows established.
func TestMergeBeforeACK(t *testing.T) {
	n := newOpenNet(t, StartExt, 50*ms, 51*ms)
	n.fate = func(m openMessage) []time.Duration {
		if m.name == nameACK {
			return []time.Duration{400 * ms}
		}
		return []time.Duration{0}
	}
	n.run(time.Minute, n.allUp)
	n.check()
	if n.lead != 1 || n.up > time.Second+4*51*ms || n.handed != 1 {
		t.Errorf("session up at %v by path %d, %d sessions handed over; want it by the second path in four round trips, and one", n.up-time.Second, n.lead, n.handed)
	}
	if p := n.paths[0]; p.by != "MP_CAPABLE" {
		t.Errorf("the first path, whose ACK was late, joined by %s, want MP_CAPABLE", p.by)
	}
}

// The leader falls silent, or breaks, after the responder's answer: the session comes up all the same, on the other path.
func TestLeaderFallsSilent(t *testing.T) {
	for _, mode := range []StartMode{StartExt, StartSim} {
		n := newOpenNet(t, mode, 50*ms, 60*ms)
		n.cfg.Reliable = true
		n.fate = func(m openMessage) []time.Duration {
			if m.path == 0 && m.name == nameACK {
				n.dead[0] = true
			}
			return []time.Duration{0}
		}
		n.run(5*time.Second, func() bool { return n.up != 0 })
		n.check()
		want := time.Second + 4*60*ms
		if mode == StartSim {
			want = time.Second + 3*50*ms + Hedge + 60*ms
		}
		if n.up != want {
			t.Errorf("%v: session up at %v, want %v", mode, n.up, want)
		}
	}
}

// A responder that has not offered it gets no MP_JOIN_CAP, and no MP_JOIN in place of a third record.
func TestMergeNeedsConsent(t *testing.T) {
	for _, mode := range []StartMode{StartExt, StartSim} {
		n := newOpenNet(t, mode, 50*ms, 50*ms)
		n.noMerge = true
		n.run(time.Minute, n.allUp)
		n.check()
		if slices.Contains(n.names(), nameMerge) || n.paths[1].by != "MP_JOIN" || n.paths[1].dials != 2 || n.handed != 1 {
			t.Errorf("%v: the second path joined by %s after %d dials, %d sessions; want MP_JOIN on a second carrier", mode, n.paths[1].by, n.paths[1].dials, n.handed)
		}
	}
	// A client that sends it all the same is refused.
	n := newOpenNet(t, StartExt)
	n.noMerge = true
	a := &Answering{Binding: []byte("x"), Reliable: true}
	if _, err := a.Handle(options(t, AppendCapable(nil, FirstCapable{Version: Version, Hello: openHello(1)})), n); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Handle(options(t, record(nil, wire.JoinCap{}.Append)), n); err == nil {
		t.Error("MP_JOIN_CAP that was not agreed upon is taken")
	}
}

// Half-open sessions with the same fast hash: each flow gets into its own.
func TestFastHashConflict(t *testing.T) {
	byHash := make(map[uint16][]key.Key)
	var same []key.Key
	for k := key.Key(1); len(same) < 8; k++ {
		h := k.FastHash()
		byHash[h] = append(byHash[h], k)
		same = byHash[h]
	}
	table := NewStarts()
	var starts []*Start
	for i, k := range same {
		s := &Start{Peer: "client", Version: Version, Own: k, binding: []byte{byte(i)}}
		table.Add(s)
		starts = append(starts, s)
	}
	for i, s := range starts {
		c := key.Secret{Local: key.Key(100 + i), Remote: s.Own, Binding: []byte{byte(i)}, Version: Version}
		m := key.Merge{Other: 5, Binding: []byte("joining"), AddrID: 2}
		j := wire.JoinCap{AddrID: 2, FastHash: s.Own.FastHash(), KeyA: uint64(c.Local), Proof: c.LocalMergeProof(m)}
		if got, secret, ok := table.Find("client", j, m); !ok || got != s || secret.Remote != c.Local {
			t.Errorf("MP_JOIN_CAP for session %d of 8 with one fast hash finds %v, %v", i, got, ok)
		}
		for name, spoil := range map[string]func(*wire.JoinCap, *key.Merge, *string){
			"another client":      func(_ *wire.JoinCap, _ *key.Merge, peer *string) { *peer = "somebody else" },
			"a bit of key A":      func(j *wire.JoinCap, _ *key.Merge, _ *string) { j.KeyA ^= 1 },
			"a bit of the proof":  func(j *wire.JoinCap, _ *key.Merge, _ *string) { j.Proof[15] ^= 1 },
			"a bit of the hash":   func(j *wire.JoinCap, _ *key.Merge, _ *string) { j.FastHash ^= 1 },
			"another key B'":      func(_ *wire.JoinCap, m *key.Merge, _ *string) { m.Other++ },
			"another channel":     func(_ *wire.JoinCap, m *key.Merge, _ *string) { m.Binding = []byte("x") },
			"another handshake":   func(_ *wire.JoinCap, m *key.Merge, _ *string) { m.Transcript[0]++ },
			"another address ID":  func(_ *wire.JoinCap, m *key.Merge, _ *string) { m.AddrID++ },
			"backup and it is no": func(_ *wire.JoinCap, m *key.Merge, _ *string) { m.Backup = true },
		} {
			jj, mm, peer := j, m, "client"
			spoil(&jj, &mm, &peer)
			if got, _, ok := table.Find(peer, jj, mm); ok {
				t.Errorf("with %s changed, session %d is found: %v", name, i, got)
			}
		}
	}
	starts[0].Claim(key.Secret{Local: starts[0].Own, Remote: 100, Binding: []byte{0}, Version: Version})
	c := key.Secret{Local: 777, Remote: starts[0].Own, Binding: []byte{0}, Version: Version}
	m := key.Merge{Other: 5}
	if _, _, ok := table.Find("client", wire.JoinCap{FastHash: c.Remote.FastHash(), KeyA: 777, Proof: c.LocalMergeProof(m)}, m); ok {
		t.Error("a session is found by another client key than its own")
	}
	for _, s := range starts {
		table.Remove(s)
	}
	if table.Len() != 0 || len(table.byHash) != 0 {
		t.Errorf("%d starts, %d buckets left", table.Len(), len(table.byHash))
	}
}

// What somebody between the sides changes in the first two records ends the handshake, whether it is a version, an ability or a key.
func TestDowngradeFails(t *testing.T) {
	for name, alter := range map[string]func(m openMessage, rec []byte) []byte{
		"the version offered": func(m openMessage, rec []byte) []byte {
			if m.name == nameSYN {
				return AppendCapable(nil, FirstCapable{Version: option.V0, Key: 0x1111, Hello: openHello(1)})
			}
			return rec
		},
		"an ability offered": func(m openMessage, rec []byte) []byte {
			if m.name == nameSYN {
				h := openHello(1)
				h.Features = 0
				return AppendCapable(nil, FirstCapable{Version: Version, Hello: h})
			}
			return rec
		},
		"an ability answered": func(m openMessage, rec []byte) []byte {
			if m.name == nameSYNACK {
				v, k, h, _ := ParseCapableReply(rec[wire.HeaderLen:])
				h.Features = 0
				return AppendCapableReply(nil, v, k, h, false)
			}
			return rec
		},
		"the version answered": func(m openMessage, rec []byte) []byte {
			if m.name == nameSYNACK {
				_, k, h, _ := ParseCapableReply(rec[wire.HeaderLen:])
				return AppendCapableReply(nil, option.V0, k, h, false)
			}
			return rec
		},
		"the last record": func(m openMessage, rec []byte) []byte {
			if m.name == nameConfirm {
				rec[len(rec)-1] ^= 1
			}
			return rec
		},
	} {
		n := newOpenNet(t, StartExt, 20*ms)
		n.cfg.Reliable, n.cfg.AllowV0, n.allowV0 = true, true, true
		n.alter = alter
		n.run(10*time.Second, n.allUp)
		if n.up != 0 {
			t.Errorf("with %s changed there is a session", name)
		}
		if handed := n.handed > 0; handed != (name == "the last record") {
			t.Errorf("with %s changed the responder has handed over %d sessions", name, n.handed)
		}
	}
}

// What versions come of what the sides are willing to speak.
func TestVersions(t *testing.T) {
	for _, tc := range []struct {
		name          string
		offer         option.Version
		allow, server bool // allow_v0
		only          bool // the responder knows version 0 alone
		want          option.Version
		fails         bool
	}{
		{"both 1", option.V1, false, false, false, option.V1, false},
		{"a higher one is offered", 7, false, false, false, option.V1, false},
		{"both may speak 0 and speak 1", option.V1, true, true, false, option.V1, false},
		{"the responder has 0 alone", option.V1, true, true, true, option.V0, false},
		{"the responder has 0 alone, and that is not allowed", option.V1, false, true, true, 0, true},
		{"0 offered", option.V0, true, true, false, option.V0, false},
		{"0 offered, and that is not allowed there", option.V0, true, false, false, 0, true},
	} {
		host := newOpenNet(t, StartExt)
		o := NewOpening(OpeningConfig{Key: 0x1111, Hello: openHello(1), AllowV0: tc.allow, Reliable: true})
		f := o.Begin(1, FlowSpec{Binding: []byte("b"), Version: tc.offer})
		a := &Answering{Binding: []byte("b"), Reliable: true, AllowV0: tc.server, OnlyV0: tc.only}
		err := func() error {
			for {
				s := f.Next(1)
				if s.Kind != StepSend {
					return s.Err
				}
				answer, err := a.Handle(options(t, s.Record), host)
				if err != nil {
					return err
				}
				rec := answer.Record
				if answer.Outcome != Undecided {
					rec = answer.Confirmation(nil, 0)
				}
				if err := f.Handle(2, options(t, rec)); err != nil {
					return err
				}
			}
		}()
		v, _ := f.Version()
		if tc.fails != (err != nil) || tc.fails != !f.Up() || err == nil && v != tc.want {
			t.Errorf("%s: version %v, up %v, %v; want %v, failed %v", tc.name, v, f.Up(), err, tc.want, tc.fails)
		}
	}
}

func TestStartDue(t *testing.T) {
	for _, tc := range []struct {
		mode   StartMode
		before []Turn
		at     Instant
		ok     bool
	}{
		{StartExt, []Turn{{}, {}}, 0, true},
		{StartSim, []Turn{{Began: 1}}, 0, true},
		{StartSingle, nil, 0, true},
		{StartSingle, []Turn{{Began: 1, Failed: true}}, 0, false},
		{StartTimer, nil, 0, true},
		{StartTimer, []Turn{{}}, 0, false},
		{StartTimer, []Turn{{Began: 5}}, 5 + Stagger, true},
		{StartTimer, []Turn{{Began: 5, Failed: true}}, 0, true},
		{StartIPS, []Turn{{Began: 5}, {Began: 5 + Stagger}}, 5 + 2*Stagger, true},
		{StartIPS, []Turn{{Began: 5}, {Began: 7, Failed: true}}, 5 + Stagger, true},
	} {
		if at, ok := tc.mode.StartDue(tc.before); at != tc.at || ok != tc.ok {
			t.Errorf("%v after %+v: %v, %v; want %v, %v", tc.mode, tc.before, at, ok, tc.at, tc.ok)
		}
	}
	for _, name := range StartModeNames() {
		if m, ok := StartModeByName(name); !ok || m.String() != name {
			t.Errorf("mode %q is %v, %v", name, m, ok)
		}
	}
	if _, ok := StartModeByName("fast"); ok {
		t.Error("there is a mode fast")
	}
}

// What a client has said once is worth nothing a second time, not even on the same channel: the responder's key and nonce are others.
func TestReplayedCapable(t *testing.T) {
	n := newOpenNet(t, StartExt)
	o := NewOpening(OpeningConfig{Key: 0x1111, Hello: openHello(1), Reliable: true})
	f := o.Begin(1, FlowSpec{Binding: []byte("b"), Version: Version})
	syn := options(t, f.Next(1).Record)
	first := &Answering{Binding: []byte("b"), Reliable: true}
	answer, err := first.Handle(syn, n)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Handle(2, options(t, answer.Record)); err != nil {
		t.Fatal(err)
	}
	ack := options(t, f.Next(2).Record)
	second := &Answering{Binding: []byte("b"), Reliable: true}
	if _, err := second.Handle(syn, n); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Handle(ack, n); err == nil {
		t.Error("a replayed handshake makes a session")
	}
	if answer, err := first.Handle(ack, n); err != nil || answer.Outcome != Initial {
		t.Errorf("the client's own handshake: %v, %v", answer.Outcome, err)
	}
}

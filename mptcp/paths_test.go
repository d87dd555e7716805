package mptcp

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mpsocks/mpsocks/internal/netsim"
)

func TestAddPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, wan, wan)
		w.start(w.path(0))
		from, to := w.ends(true)
		time.AfterFunc(time.Second, func() {
			if err := w.client.AddPath(w.path(1)); err != nil {
				t.Error(err)
			}
		})
		f := transfer(t, from, to, 5*2500000)
		if share := w.carried(1); share < 3*1250000 {
			t.Errorf("the path that came in the middle carried %d octets of %d in %v", share, f.got, f.took)
		}
		if err := w.client.AddPath(w.path(1)); err == nil {
			t.Error("a second path of the same name was taken")
		}
		if err := w.server.AddPath(w.path(0)); !errors.Is(err, errResponder) {
			t.Errorf("the responder's AddPath: %v, want %v", err, errResponder)
		}
		from.Close()
		to.Close()
	})
}

func TestRemovePath(t *testing.T) {
	bothWays(t, func(t *testing.T, up bool) {
		w := dialled(t, nil, wan, wan)
		from, to := w.ends(up)
		time.AfterFunc(time.Second, func() {
			if err := w.client.RemovePath("a"); err != nil {
				t.Error(err)
			}
		})
		f := transfer(t, from, to, 3*2500000)
		if f.longest > stallBound {
			t.Errorf("the reader waited %v, want at most %v", f.longest, stallBound)
		}
		if n := w.paths[0].Conns(); n > 0 {
			t.Errorf("%d ends of the removed path's connections are open", n)
		}
		if err := w.client.RemovePath("a"); err == nil {
			t.Error("removing what is not there: no error")
		}
		if st := w.client.Stats(); len(st.Paths) != 1 {
			t.Errorf("the session has %d paths, want 1", len(st.Paths))
		}
		from.Close()
		to.Close()
	})
}

// A path that is removed while it is dialled does not join.
func TestRemovePathDialling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, wan, slow)
		w.start(w.path(0))
		for wait := 10 * time.Millisecond; wait < 400*time.Millisecond; wait += 30 * time.Millisecond {
			if err := w.client.AddPath(w.path(1)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(wait)
			if err := w.client.RemovePath("b"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			if n := w.paths[1].Conns(); n > 0 {
				t.Fatalf("removed %v after it was added, the path has %d ends of connections open", wait, n)
			}
		}
	})
}

// A kick ends the wait for the next attempt, and an attempt that is stuck.
func TestKickPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan, wan)
		w.shut(1)
		w.paths[1].Reset()
		time.Sleep(2 * time.Minute)
		w.wantPath("b", "cooldown")
		w.open(1)
		w.client.KickPath("b")
		time.Sleep(200 * time.Millisecond)
		w.wantPath("b", "up")

		w.paths[1].Cut()
		w.paths[1].Reset()
		time.Sleep(500 * time.Millisecond)
		w.wantPath("b", "probing")
		w.paths[1].Heal() // the next SYN would go out at one second
		w.client.KickPath("b")
		time.Sleep(200 * time.Millisecond)
		w.wantPath("b", "up")
		w.client.KickPath("no such path")
	})
}

// A kick of a path that has a subflow asks whether it still answers.
func TestKickProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan, wan)
		w.paths[0].Cut()
		time.Sleep(100 * time.Millisecond)
		w.wantPath("a", "up")
		w.client.KickPath("a")
		time.Sleep(200 * time.Millisecond)
		w.wantPath("a", "suspect")
	})
}

// A subflow that does not survive what happened to its interface is replaced at once, not when its silence has become long; one that does stays.
func TestKickReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan, wan)
		time.Sleep(time.Second)
		before := w.client.Stats()
		w.client.KickPath("a")
		time.Sleep(5 * time.Second)
		if after := w.client.Stats(); after.Paths[0].Local != before.Paths[0].Local {
			t.Errorf("a subflow that answers, from %s, was replaced by one from %s", before.Paths[0].Local, after.Paths[0].Local)
		}
		w.paths[0].Strand() // as a translation at a router that has timed out
		w.client.KickPath("a")
		time.Sleep(600 * time.Millisecond) // the time of a doubt and of a handshake
		if after := w.client.Stats(); after.Paths[0].State != "up" || after.Paths[0].Local == before.Paths[0].Local {
			t.Errorf("path a is %s from %s, want a new connection that answers", after.Paths[0].State, after.Paths[0].Local)
		}
	})
}

// A path that is renewed keeps its subflow until the new one stands, and nothing is lost.
func TestRenewPath(t *testing.T) {
	bothWays(t, func(t *testing.T, up bool) {
		w := dialled(t, nil, wan)
		from, to := w.ends(up)
		before := w.client.Stats().Paths[0].Local
		time.AfterFunc(time.Second, func() {
			w.client.RenewPath("a")
			w.client.RenewPath("no such path")
		})
		f := transfer(t, from, to, 3*2500000)
		after := w.client.Stats().Paths[0]
		if after.Local == before || after.State != "up" {
			t.Errorf("the path is %s from %s, as before: want a new connection", after.State, after.Local)
		}
		if n := w.paths[0].Dialled(); n != 2 {
			t.Errorf("dialled %d times, want 2", n)
		}
		if f.longest > 250*time.Millisecond {
			t.Errorf("the reader waited %v", f.longest)
		}
		from.Close()
		to.Close()
	})
}

// A backup path carries nothing while a primary one is up, everything when it is not.
func TestBackup(t *testing.T) {
	bothWays(t, func(t *testing.T, up bool) {
		w := newWorld(t, nil, wan, wan)
		w.start(w.all(RolePrimary, RoleBackup)...)
		from, to := w.ends(up)
		var standby, taken int64
		time.AfterFunc(3*time.Second, func() {
			standby = w.carried(1)
			w.paths[0].Cut()
		})
		time.AfterFunc(6*time.Second, func() {
			taken = w.carried(1) - standby
			w.paths[0].Heal()
		})
		var late int64
		time.AfterFunc(12*time.Second, func() { late = w.carried(1) })
		f := transfer(t, from, to, 13*1250000)
		if standby > 20000 {
			t.Errorf("beside the primary path the backup carried %d octets, want control only", standby)
		}
		if taken < 2*1250000 {
			t.Errorf("in the 3s the primary path was cut the backup carried %d octets, want 2s' worth at least", taken)
		}
		if again := w.carried(1) - late; again > 20000 {
			t.Errorf("with the primary path back the backup carried %d octets, want control only", again)
		}
		if f.longest > stallBound {
			t.Errorf("the reader waited %v, want at most %v", f.longest, stallBound)
		}
		from.Close()
		to.Close()
	})
}

func TestSetPathRole(t *testing.T) {
	bothWays(t, func(t *testing.T, up bool) {
		w := dialled(t, nil, wan, wan)
		from, to := w.ends(up)
		set := func(role Role) {
			if err := w.client.SetPathRole("b", role); err != nil {
				t.Error(err)
			}
		}
		var at [4]int64
		for i, role := range []Role{RoleBackup, RoleNever, RolePrimary} {
			time.AfterFunc(time.Duration(i+1)*3*time.Second, func() {
				set(role)
				time.Sleep(time.Second) // what is under way arrives
				at[i] = w.carried(1)
			})
		}
		time.AfterFunc(6*time.Second-time.Millisecond, func() { at[3] = w.carried(1) })
		transfer(t, from, to, 12*2500000)
		if at[0] < 2*1250000 {
			t.Errorf("as a primary path it carried %d octets, want 2s' worth at least", at[0])
		}
		if n := at[3] - at[0]; n > 20000 {
			t.Errorf("as a backup it carried %d octets, want control only", n)
		}
		if n := at[2] - at[1]; n > 1250000+20000 {
			t.Errorf("as a path never to be used it carried %d octets, want none", n)
		}
		if n := w.carried(1) - at[2]; n < 1250000 {
			t.Errorf("as a primary path again it carried %d octets, want 1s' worth at least", n)
		}
		if err := w.client.SetPathRole("z", RoleBackup); err == nil {
			t.Error("the role of a path that is not there: no error")
		}
		from.Close()
		to.Close()
	})
}

// A path of role never is not connected; its state says so.
func TestRoleNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, wan, wan)
		w.start(w.all(RolePrimary, RoleNever)...)
		if n := w.paths[1].Dialled(); n > 0 {
			t.Errorf("dialled %d times, want never", n)
		}
		w.wantPath("b", "standby")
		if err := w.client.SetPathRole("b", RolePrimary); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		w.wantPath("b", "up")
		if err := w.client.SetPathRole("b", RoleNever); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		w.wantPath("b", "standby")
		if n := w.paths[1].Conns(); n > 0 {
			t.Errorf("%d ends of connections are open", n)
		}
	})
}

// With the policy ondemand a backup is connected only while nothing better works.
func TestOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &Config{PathPolicy: "ondemand"}, wan, wan)
		w.start(w.all(RolePrimary, RoleBackup)...)
		w.wantPath("b", "standby")
		if n := w.paths[1].Dialled(); n > 0 {
			t.Fatalf("dialled %d times beside a primary path that is up, want never", n)
		}
		from, to := w.ends(true)
		result := make(chan flow)
		go push(from, 20*1250000)
		go func() { result <- pull(to) }()

		time.Sleep(time.Second)
		w.paths[0].Cut()
		time.Sleep(100 * time.Millisecond)
		w.paths[0].Heal() // too short to matter
		time.Sleep(time.Second)
		if n := w.paths[1].Dialled(); n > 0 {
			t.Fatalf("dialled %d times for a hiccup of the primary path, want never", n)
		}
		w.paths[0].Cut()
		time.Sleep(time.Second)
		w.wantPath("b", "up")
		w.paths[0].Heal()
		time.Sleep(5 * time.Second)
		w.wantPath("b", "up") // kept for a while
		time.Sleep(10 * time.Second)
		w.wantPath("b", "standby")
		if n := w.paths[1].Conns(); n > 0 {
			t.Errorf("%d ends of connections are open", n)
		}
		if f := <-result; f.err != nil || f.longest > time.Second {
			t.Errorf("transfer: %v, longest pause %v, want at most 1s", f.err, f.longest)
		}
		from.Close()
		to.Close()
	})
}

// At the start too, unless there is nothing better.
func TestOnDemandAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := &Config{PathPolicy: "ondemand"}
		w := newWorld(t, cfg, wan, wan)
		w.paths[0].Cut()
		began := time.Now()
		w.start(w.all(RolePrimary, RoleBackup)...)
		if took := time.Since(began) - 2*time.Second; took > 1500*time.Millisecond {
			t.Errorf("dialling took %v with the primary path dead, want at most 1.5s", took)
		}
		w.paths[0].Heal()
		time.Sleep(30 * time.Second)
		w.wantPath("a", "up")
		w.wantPath("b", "standby")
		w.shut(0)
		w.paths[0].Reset()
		time.Sleep(300 * time.Millisecond)
		w.wantPath("b", "up")
	})
}

// Idle paths are probed: a silence is noticed with nobody there to suffer from it.
func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan, wan)
		time.Sleep(10 * time.Minute)
		w.wantPath("a", "up")
		if n := w.carried(0); n < 10*60/15*20 || n > 100000 {
			t.Errorf("10 idle minutes cost %d octets, want a probe every 15s or so", n)
		}
		w.paths[0].Cut()
		time.Sleep(20 * time.Second)
		w.wantPath("a", "suspect")
		w.wantPath("b", "up")
		w.paths[0].Heal()
		time.Sleep(35 * time.Second)
		w.wantPath("a", "up")
	})
}

// With KeepAlive off an idle path carries nothing.
func TestNoKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, &Config{KeepAlive: -1}, wan)
		before := w.carried(0)
		time.Sleep(time.Hour)
		if n := w.carried(0) - before; n > 0 {
			t.Errorf("an idle hour cost %d octets, want none", n)
		}
	})
}

// A Dial that returns nothing at all is a failed one.
func TestDialOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, wan)
		w.start(w.path(0))
		if err := w.client.AddPath(Path{Name: "b", Dial: func(context.Context) (*Carrier, error) { return nil, nil }}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if p := w.pathStats("b"); p.Reason != errNoCarrier.Error() {
			t.Errorf("the path is %s (%s), want %v", p.State, p.Reason, errNoCarrier)
		}
		w.echo()
	})
}

// A path whose dialling fails in new ways says the newest, and a working one says so.
func TestPathStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, wan, wan)
		fail := errors.New("no route to host")
		second := w.path(1)
		dial := second.Dial
		second.Dial = func(ctx context.Context) (*Carrier, error) {
			if err := fail; err != nil {
				time.Sleep(10 * time.Millisecond) // virtual: what the test looks at first comes first
				return nil, err
			}
			return dial(ctx)
		}
		w.start(w.path(0))
		before := time.Now()
		if err := w.client.AddPath(second); err != nil {
			t.Fatal(err)
		}
		if p := w.pathStats("b"); p.State != "new" && p.State != "probing" {
			t.Errorf("a path just added is %s, want new or probing", p.State)
		}
		time.Sleep(100 * time.Millisecond)
		if p := w.pathStats("b"); p.State != "down" || p.Reason != fail.Error() || p.Since.Before(before) {
			t.Errorf("after a failure the path is %s (%s) since %v, want down (%v)", p.State, p.Reason, p.Since, fail)
		}
		time.Sleep(10 * time.Second)
		w.wantPath("b", "cooldown")
		fail = nil
		w.client.KickPath("b")
		time.Sleep(70 * time.Millisecond)
		if p := w.pathStats("b"); p.State != "probing" || !strings.Contains(p.Reason, "no route to host") {
			t.Errorf("while connecting again the path is %s (%s), want probing, after what failed last", p.State, p.Reason)
		}
		time.Sleep(time.Second)
		p := w.pathStats("b")
		if p.State != "up" || p.Role != "primary" || p.Local != "b:1" || p.Remote != "b" || p.MinRTT < 30*time.Millisecond || p.RTT > 100*time.Millisecond {
			t.Errorf("the connected path is %+v", p)
		}
		if tx, _ := w.paths[1].Carried(); p.TxBytes == 0 || p.TxBytes > uint64(tx) {
			t.Errorf("the path counts %d octets sent of %d the link carried", p.TxBytes, tx)
		}
		w.paths[1].Reset()
		w.shut(1)
		time.Sleep(time.Second)
		if after := w.pathStats("b"); after.TxBytes != p.TxBytes {
			t.Errorf("counters of a path that lost its subflow: %d octets, want the %d from before", after.TxBytes, p.TxBytes)
		}
	})
}

func TestSessionStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, &Config{Linger: time.Minute, KeepAlive: time.Second}, wan)
		c, s := w.stream()
		want := func(state string) {
			t.Helper()
			for _, x := range []*Session{w.client, w.server} {
				if st := x.Stats(); st.State != state {
					t.Errorf("the session is %s, want %s", st.State, state)
				}
			}
		}
		want("up")
		if st := w.server.Stats(); st.Streams != 1 || st.Peer != "tester" || st.ID != w.client.ID() || len(st.Paths) != 1 || st.Paths[0].State != "up" {
			t.Errorf("the responder's view: %+v", st)
		}
		w.paths[0].Cut()
		time.Sleep(3 * time.Second)
		want("suspect")
		if p := w.server.Stats().Paths[0]; p.State != "suspect" || p.Reason == "" {
			t.Errorf("the responder sees its path %s (%s)", p.State, p.Reason)
		}
		w.shut(0)
		w.paths[0].Heal()
		w.paths[0].Reset()
		time.Sleep(time.Second)
		want("lingering")
		time.Sleep(time.Minute)
		want("closed")
		c.Close()
		s.Close()
	})
}

// A secondary path joins in when the primary one is saturated, and not before.
func TestSecondary(t *testing.T) {
	bothWays(t, func(t *testing.T, up bool) {
		w := newWorld(t, nil, wan, wan)
		w.start(w.all(RolePrimary, RoleSecondary)...)
		from, to := w.ends(up)
		received := make(chan flow)
		go func() { received <- pull(to) }()
		var off int64
		send := func(n int) {
			part := make([]byte, n)
			for i := range part {
				part[i] = pattern(off + int64(i))
			}
			off += int64(n)
			if _, err := from.Write(part); err != nil {
				t.Error(err)
			}
		}
		for range 100 { // half of what the primary path can do
			send(12500)
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if n := w.carried(1); n > 100000 { // some at the start, when the primary path has yet to be measured
			t.Errorf("beside a primary path at half load the secondary carried %d octets of %d, want next to none", n, off)
		}
		began := time.Now()
		for range 5 * 25 {
			send(100000)
		}
		from.CloseWrite()
		if f := <-received; f.err != nil || f.got != off || time.Since(began) > 6*time.Second {
			t.Errorf("%d octets at full load: %d in %v, %v; want them in 5s and a little", off, f.got, time.Since(began), f.err)
		}
		if n := w.carried(1); n < 4*1250000 {
			t.Errorf("at full load the secondary carried %d octets, want 4s' worth at least", n)
		}
		from.Close()
		to.Close()
	})
}

// A secondary path that is quicker than the primary one is not given copies of what is only further away.
func TestSecondaryThatIsQuicker(t *testing.T) {
	bothWays(t, func(t *testing.T, up bool) {
		far := netsim.Link{Rate: 1250000, Delay: 60 * time.Millisecond}
		near := netsim.Link{Rate: 1250000, Delay: 5 * time.Millisecond}
		w := newWorld(t, nil, far, near)
		w.start(w.all(RolePrimary, RoleSecondary)...)
		from, to := w.ends(up)
		received := make(chan flow)
		go func() { received <- pull(to) }()
		const parts, size = 200, 2500 // 25 kB/s on a path of 1,250 kB/s
		for i := range parts {
			part := make([]byte, size)
			for j := range part {
				part[j] = pattern(int64(i*size + j))
			}
			if _, err := from.Write(part); err != nil {
				t.Error(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := w.carried(1); n > parts*size/10 {
			t.Errorf("the secondary carried %d octets beside an idle primary path, of %d", n, parts*size)
		}
		from.CloseWrite()
		<-received
		from.Close()
		to.Close()
	})
}

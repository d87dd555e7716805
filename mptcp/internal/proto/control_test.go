package proto

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// TestControlFitsTheOptionArea owes a subflow more than a record can say: it says it in several, and data goes on meanwhile.
func TestControlFitsTheOptionArea(t *testing.T) {
	d := twoPaths(t)
	near, _ := d.open(client, 100)
	c, sf := d.sides[client], d.paths[0][client]
	for i := range maxGone {
		sf.in.gone = append(sf.in.gone, StreamID(2*i+1))
	}
	for i := range maxStatus {
		sf.out.status = append(sf.out.status, statusNote{uint8(i), wire.StatusSuspect})
	}
	for i := range maxAddrs {
		c.Announce(d.now, Address{ID: uint8(i), Addr: addr6(i)})
		c.addrs.echoes = append(c.addrs.echoes, announce(c.cfg.Secret, Address{ID: uint8(i), Addr: addr6(i)}))
	}
	ids := make([]byte, 100)
	for i := range ids {
		ids[i] = byte(i + 100)
	}
	c.Withdraw(ids...)
	c.Probe(sf)
	c.SetRole(sf, sched.Backup)
	c.SetRole(sf, sched.Primary)
	c.resendControl()
	c.ctl.sessionCredit, c.ctl.streamsCredit = true, true
	c.HandleTimer(d.now)
	put(near, 5000)
	told := strings.Builder{}
	for i, rec := range d.poll(client, 0) {
		h, err := wire.ParseHeader(rec)
		if err != nil || wire.HeaderLen+h.OptionLen+h.PayloadLen != len(rec) {
			t.Fatalf("record %d: %+v of %d octets, %v", i, h, len(rec), err)
		}
		told.WriteString(d.text(client, rec) + "\n")
	}
	for what, want := range map[string]int{"gone": maxGone, "status(": maxStatus, "ADD_ADDR(": 2 * maxAddrs, "probe(": 1, "session-credit(": 1} {
		if got := strings.Count(told.String(), what); got != want {
			t.Errorf("%d times %q, want %d", got, what, want)
		}
	}
	if got := strings.Count(told.String(), "REMOVE_ADDR("); got < 100/removeMost {
		t.Errorf("%d REMOVE_ADDR for 100 addresses", got)
	}
	for i := range ids {
		if !strings.Contains(told.String(), fmt.Sprintf("%d", i+100)) {
			t.Errorf("address %d is not withdrawn", i+100)
		}
	}
	d.settle()
}

// TestAcksFitTheOptionArea has more streams to acknowledge than a record has room for; the report waits for the last of them.
func TestAcksFitTheOptionArea(t *testing.T) {
	d := onePath(t)
	const n = 60
	for i := range n {
		st, _ := d.sides[client].OpenStream(d.now)
		put(st, 10+i)
	}
	d.poll(client, 0)
	sent := d.paths[0][client].out.records
	if _, err := d.deliver(client, 0, -1); err != nil {
		t.Fatal(err)
	}
	acked := 0
	recs := d.poll(egress, 0)
	for i, rec := range recs {
		text := d.text(egress, rec)
		acked += strings.Count(text, "DSS(ack=")
		if reported := strings.Contains(text, fmt.Sprintf("report(%d ", sent)); reported != (i == len(recs)-1) {
			t.Errorf("record %d of %d reports all %d records: %v", i, len(recs), sent, reported)
		}
		if h, _ := wire.ParseHeader(rec); h.OptionLen > wire.MaxOptions {
			t.Errorf("record %d has %d octets of options", i, h.OptionLen)
		}
	}
	if acked != n {
		t.Errorf("%d acknowledgements for %d streams", acked, n)
	}
}

// TestReportDoesNotOvertakeAcknowledgements delivers only the first records of an answer: what they report is acknowledged.
func TestReportDoesNotOvertakeAcknowledgements(t *testing.T) {
	d := onePath(t)
	for range 60 {
		st, _ := d.sides[client].OpenStream(d.now)
		put(st, 10)
		st.CloseWrite(d.now)
	}
	d.poll(client, 0)
	if _, err := d.deliver(client, 0, -1); err != nil {
		t.Fatal(err)
	}
	d.poll(egress, 0)
	if _, err := d.deliver(egress, 0, 1); err != nil {
		t.Fatal(err)
	}
	sf := d.paths[0][client]
	for i := range sf.out.sent.Len() { // all that is left is not reported
		if r := sf.out.sent.At(i); r.record <= sf.out.reported {
			t.Errorf("record %d is kept, %d are reported", r.record, sf.out.reported)
		}
	}
	for _, st := range d.sides[client].streams {
		f := &st.out.flight
		for i := range f.q.Len() {
			if f.q.At(i).arrived {
				t.Fatalf("stream %d: a piece is reported and not acknowledged: had the subflow died now, nothing would free it", st.id)
			}
		}
	}
}

// TestAnswersComeInTime: at once for every other record, within 25 ms for a lone one, at once for each where they come steadily.
func TestAnswersComeInTime(t *testing.T) {
	d := onePath(t)
	d.rest()
	near, _ := d.sides[client].OpenStream(d.now)
	send := func(n int) {
		put(near, n)
		d.poll(client, 0)
		if _, err := d.deliver(client, 0, -1); err != nil {
			t.Fatal(err)
		}
	}
	d.now += 1e9
	send(10)
	if recs := d.poll(egress, 0); len(recs) != 0 {
		t.Errorf("a lone record is answered at once")
	}
	if at := d.sides[egress].Deadline(); at != d.now+ackDelay {
		t.Errorf("Deadline() = %v, want %v", at-d.now, ackDelay)
	}
	send(10)
	if recs := d.poll(egress, 0); len(recs) != 1 {
		t.Errorf("%d records in answer to the second one", len(recs))
	}
	d.now += 1e9
	send(10)
	d.wait(ackDelay)
	if recs := d.poll(egress, 0); len(recs) != 1 {
		t.Errorf("%d records in answer to a lone one after %v", len(recs), ackDelay)
	}
	for i := range 5 {
		d.now += 8 * ms
		send(10)
		if recs := d.poll(egress, 0); len(recs) != min(i, 1) { // the first comes after a pause
			t.Errorf("%d records in answer to the %dth of a steady flow", len(recs), i)
		}
	}
	d.settle()
}

// TestAckOfAckIsSilent: what is not data, credit or control is not answered, or two idle sides would talk for ever.
func TestAckOfAckIsSilent(t *testing.T) {
	d := twoPaths(t)
	near, far := d.open(client, 5000)
	take(t, d.now, far)
	near.CloseWrite(d.now)
	d.rest()
	for side := range d.sides {
		for path := range d.paths {
			if recs := d.poll(side, path); len(recs) != 0 {
				t.Errorf("side %d, path %d has %s to say", side, path, d.text(side, recs[0]))
			}
		}
	}
	if at := d.sides[client].Deadline(); at != 0 && at < d.now+500*ms {
		t.Errorf("Deadline() in %v", at-d.now)
	}
}

// TestStateIsToldAgain: a credit lost with its subflow comes on the next one, once.
func TestStateIsToldAgain(t *testing.T) {
	hello := roomyHello
	hello.StreamCredit = 1000
	d := newDuo(t, hello)
	d.path(30*ms, sched.Primary)
	d.settle()
	near, far := d.open(client, 1000)
	take(t, d.now, far)
	if recs := d.poll(egress, 0); len(recs) == 0 || !strings.Contains(d.text(egress, recs[0]), "credit(2000 new=true)") {
		t.Fatalf("%d records after reading", len(recs))
	}
	d.wires[0][egress] = nil
	for side := range d.sides {
		d.sides[side].RemoveSubflow(d.now, d.paths[0][side])
	}
	d.now += 1e9
	far.WantWritable()
	d.path(30*ms, sched.Primary)
	recs := d.poll(egress, 1)
	if len(recs) != 1 || !strings.Contains(d.text(egress, recs[0]), "credit(2000 new=true)") {
		t.Fatalf("%d records on the new subflow", len(recs))
	}
	d.settle()
	if got := near.out.limit.Sub(near.s.firstOut()); got != 2000 {
		t.Errorf("the sender's limit is %d, want 2000", got)
	}
	d.rest()
	d.path(30*ms, sched.Primary)
	for _, rec := range d.poll(egress, 2) {
		if text := d.text(egress, rec); strings.Contains(text, "credit(2000") {
			t.Errorf("told again although it is known: %s", text)
		}
	}
}

// TestStateWhileAlone: what is read while there is no subflow is told to the first one.
func TestStateWhileAlone(t *testing.T) {
	hello := roomyHello
	hello.StreamCredit = 1000
	d := newDuo(t, hello)
	d.path(30*ms, sched.Primary)
	d.settle()
	near, far := d.open(client, 1000)
	d.rest()
	for side := range d.sides {
		d.sides[side].RemoveSubflow(d.now, d.paths[0][side])
	}
	if alone := d.sides[egress].Alone(); alone != d.now {
		t.Errorf("Alone() = %v, want %v", alone, d.now)
	}
	take(t, d.now, far)
	d.path(30*ms, sched.Primary)
	d.settle()
	if got := near.out.limit.Sub(near.s.firstOut()); got != 2000 || d.sides[egress].Alone() != 0 {
		t.Errorf("the sender's limit is %d, want 2000", got)
	}
}

func TestStopOvertakesTheFirstOctets(t *testing.T) {
	d := twoPaths(t)
	near, _ := d.sides[client].OpenStream(d.now)
	put(near, 100)
	d.poll(client, 0) // stays on its way
	near.CloseRead(d.now)
	d.paths[0][client].srtt = 1e9 // the other path is the better one now
	near.s.ackOnBest(near)
	d.poll(client, 1)
	if _, err := d.deliver(client, 1, -1); err != nil {
		t.Fatal(err)
	}
	far := d.sides[egress].streams[near.id]
	if far == nil || far.WriteErr() != CodeStopped {
		t.Fatalf("stream %v after the Stop", far)
	}
	d.settle()
	if got := take(t, d.now, far); got != 100 {
		t.Errorf("read %d octets, want 100", got)
	}
}

func TestLastWordsAfterTheEnd(t *testing.T) {
	d := onePath(t)
	d.sides[client].End(d.now, ErrSessionClosed, false)
	if recs := d.poll(client, 0); len(recs) != 0 || d.sides[client].CanSend(d.paths[0][client]) {
		t.Errorf("%d records after an end that is not to be told", len(recs))
	}
	d.sides[client].End(d.now, ErrPeerClosed, true) // only the first end counts
	if _, why := d.sides[client].Closed(); why != ErrSessionClosed {
		t.Errorf("Closed() = %v", why)
	}
}

// TestAckOfASilentPathGoesElsewhere: what was due on the best path goes to another one as soon as that is suspect.
func TestAckOfASilentPathGoesElsewhere(t *testing.T) {
	d := twoPaths(t)
	near, _ := d.open(client, 100)
	d.rest()
	put(near, 100)
	d.poll(client, 0)
	d.sides[egress].Probe(d.paths[0][egress])
	d.poll(egress, 0) // unanswered from now on
	if _, err := d.deliver(client, 0, -1); err != nil {
		t.Fatal(err)
	}
	for d.paths[0][egress].State() == Up { // its socket has no room: it is not asked to send
		d.wait(ms)
	}
	told := false
	for _, rec := range d.poll(egress, 1) {
		told = told || strings.Contains(d.text(egress, rec), "ack=200")
	}
	if !told {
		t.Error("the other path does not carry the acknowledgement")
	}
}

package proto

import "testing"

func TestCloseState(t *testing.T) {
	for _, tc := range []struct {
		name   string
		events []closeEvent
		want   []closeState
	}{
		{"we close first", []closeEvent{eventClose, eventFinAcked, eventFin}, []closeState{stateFinWait1, stateFinWait2, stateClosed}},
		{"the peer closes first", []closeEvent{eventFin, eventClose, eventFinAcked}, []closeState{stateCloseWait, stateLastAck, stateClosed}},
		{"both at once", []closeEvent{eventClose, eventFin, eventFinAcked}, []closeState{stateFinWait1, stateClosing, stateClosed}},
		{"repeats change nothing", []closeEvent{eventFin, eventFin, eventFinAcked, eventClose, eventClose}, []closeState{stateCloseWait, stateCloseWait, stateCloseWait, stateLastAck, stateLastAck}},
		{"nothing leaves the end", []closeEvent{eventClose, eventFinAcked, eventFin, eventClose, eventFin, eventFinAcked}, []closeState{stateFinWait1, stateFinWait2, stateClosed, stateClosed, stateClosed, stateClosed}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := stateEstab
			for i, e := range tc.events {
				if c = c.after(e); c != tc.want[i] {
					t.Fatalf("after event %d: got %v, want %v", i, c, tc.want[i])
				}
			}
		})
	}
}

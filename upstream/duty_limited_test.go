package upstream

import "testing"

func TestLimitIsTold(t *testing.T) {
	for _, tt := range []struct {
		d            duty
		reason, want string
	}{
		{duty{}, "answers", "answers"},
		{duty{rate: 1e6, byHand: true}, "", "limited to 1 Mbit/s by hand"},
		{duty{rate: 2_500_000}, "answers", "answers; limited to 2.5 Mbit/s by its rate_limit"},
		{duty{role: RoleNever, reason: "switched off by hand", rate: 1e6, byHand: true}, "role never", "switched off by hand"},
	} {
		p := PathStatus{Reason: tt.reason}
		if p.explain(tt.d); p.Reason != tt.want {
			t.Errorf("%q of a path with %+v is told as %q, want %q", tt.reason, tt.d, p.Reason, tt.want)
		}
	}
}

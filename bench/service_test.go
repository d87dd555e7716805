package bench

import "testing"

func TestService(t *testing.T) {
	s := NewService(nil)
	var conns []*targetConn
	for range 3 {
		c, err := s.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, newTargetConn(c))
	}
	for i, c := range conns {
		if _, err := c.exchange(uint64(i), 1000, 100_000); err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range conns {
		if _, err := c.exchange(1, 1, 1); err == nil {
			t.Error("a closed service answers")
		}
		_ = c.Close()
	}
}

func TestServiceIsBounded(t *testing.T) {
	s := NewService(nil)
	defer s.Close()
	answered := 0
	for range serviceConns + 5 {
		c, err := s.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		tc := newTargetConn(c)
		defer tc.Close()
		if _, err := tc.exchange(1, 1, 1); err == nil {
			answered++
		}
	}
	if answered != serviceConns {
		t.Errorf("%d connections were served at once, want %d", answered, serviceConns)
	}
}

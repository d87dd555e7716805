package option

import "testing"

func TestPrio(t *testing.T) {
	testCodec(t, ParsePrio, []example[Prio]{
		{"off", "1e 03 50", Prio{}},
		{"backup", "1e 03 51", Prio{Backup: true}},
		{"reserved", "1e 03 5e", Prio{Reserved: 7}},
		{"version 0 with address ID", "1e 04 51 09", Prio{Backup: true, HasAddrID: true, AddrID: 9}},
	})
	testRefused(t, ParsePrio, ErrLength, "1e 05 51 09 00")
}

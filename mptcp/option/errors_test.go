package option

import (
	"errors"
	"testing"
)

func TestErrorText(t *testing.T) {
	for _, tt := range []struct {
		parse func() error
		want  string
	}{
		{func() error { _, err := ParseDSS([]byte{Kind, 12, 0x20}); return err }, "parse DSS: truncated (3 bytes)"},
		{func() error { _, err := ParseFail([]byte{Kind, 3, 0x60}); return err }, "parse MP_FAIL: invalid length (3 bytes)"},
		{func() error { _, _, err := Next([]byte{8, 1}); return err }, "parse option kind 8: invalid length (1 bytes)"},
	} {
		err := tt.parse()
		var e *Error
		if !errors.As(err, &e) || err.Error() != tt.want {
			t.Errorf("error = %v, want %s", err, tt.want)
		}
	}
}

//go:build !linux && !darwin

package tcpsock

import (
	"errors"
	"time"
)

func (s *Socket) info() (Info, bool) { return Info{}, false }

func setNotSentLowat(uintptr, int) error { return errors.ErrUnsupported }

func setReceiveLowat(uintptr, int) error { return errors.ErrUnsupported }

func setUserTimeout(uintptr, time.Duration) error { return errors.ErrUnsupported }

func setSteadyRetries(uintptr, bool) error { return errors.ErrUnsupported }

func setRetryLimit(uintptr, time.Duration) error { return errors.ErrUnsupported }

func setMaxPacingRate(uintptr, uint64) error { return errors.ErrUnsupported }

func setCongestion(uintptr, string) error { return errors.ErrUnsupported }

func congestion(uintptr) (string, error) { return "", errors.ErrUnsupported }

//go:build !linux && !darwin && !windows

package upstream

// bindsDevice: a socket can be tied to an interface here.
const bindsDevice = false

// bindDevice does nothing: the source address, which the dialer binds to, is all
// that chooses the line here.
func bindDevice(string, uintptr, *target) error { return nil }

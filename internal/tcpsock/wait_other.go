//go:build !linux && !darwin

package tcpsock

func (s *Socket) waitWritable() error { return nil }

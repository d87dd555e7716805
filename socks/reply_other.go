//go:build !windows

package socks

var platformReplies []struct {
	err   error
	reply Reply
}

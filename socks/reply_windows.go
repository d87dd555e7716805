package socks

import "golang.org/x/sys/windows"

// Windows reports the numbers of its socket library; the POSIX names of package
// syscall have other values there.
var platformReplies = []struct {
	err   error
	reply Reply
}{
	{windows.WSAECONNREFUSED, ReplyConnectionRefused},
	{windows.WSAETIMEDOUT, ReplyTTLExpired},
	{windows.WSAEACCES, ReplyNotAllowed},
	{windows.WSAEHOSTUNREACH, ReplyHostUnreachable},
	{windows.WSAEHOSTDOWN, ReplyHostUnreachable},
	{windows.WSAENETUNREACH, ReplyNetworkUnreachable},
	{windows.WSAENETDOWN, ReplyNetworkUnreachable},
	{windows.WSAEAFNOSUPPORT, ReplyAddrTypeNotSupported},
}

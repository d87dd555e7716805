//go:build unix

package doctor

import "syscall"

func (r *Report) files(need uint64) {
	const check = "nofile"
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		r.Add(Unknown, check, "", "", "the limit of open files: %v", err)
		return
	}
	switch have := uint64(l.Cur); {
	case have < need/4:
		r.Add(Fail, check, "", "ulimit -n 65536, or LimitNOFILE=65536 in the service's unit", "%d files may be open at once, which a busy browser exceeds", have)
	case have < need:
		r.Add(Warn, check, "", "ulimit -n 65536, or LimitNOFILE=65536 in the service's unit", "%d files may be open at once; with many connections %d are needed", have, need)
	default:
		r.Add(OK, check, "", "", "%d files may be open at once", have)
	}
}

package tracelog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"
)

const (
	// fileRoom is what waits for the disk at most.
	fileRoom = 8 << 20
	// fileGather is how long lines may wait to be written together: to write each
	// by itself would disturb what is watched.
	fileGather = 200 * time.Millisecond
)

// File writes all of a hub's lines to a file of a bounded size.
type File struct {
	name string
	half int64 // bytes of the file and of the one before it
	tap  *Tap
	log  *slog.Logger

	file *os.File
	size int64

	stop  context.CancelFunc
	ended chan struct{}
}

// OpenFile begins to write to the file called name. When it has half of size bytes
// it becomes name.1, in the place of an older one, and a new one is begun; so does
// one that is there already. Only the owner may read it. log hears of a disk that
// fails, after which nothing more is written.
func (h *Hub) OpenFile(name string, size int64, log *slog.Logger) (*File, error) {
	f := &File{name: name, half: max(size/2, 1), log: log, ended: make(chan struct{})}
	if err := f.begin(); err != nil {
		return nil, fmt.Errorf("trace file: %w", err)
	}
	var err error
	if f.tap, err = h.Tap(Filter{}, fileRoom); err != nil {
		return nil, errors.Join(err, f.file.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	go f.run(ctx)
	return f, nil
}

// begin makes a new file, and the one that was there the one before it.
func (f *File) begin() error {
	if f.file != nil {
		if err := f.file.Close(); err != nil {
			return err
		}
	}
	if err := os.Rename(f.name, f.name+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var err error
	f.file, err = os.OpenFile(f.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	f.size = 0
	return err
}

func (f *File) run(ctx context.Context) {
	defer close(f.ended)
	defer f.tap.Close()
	for {
		lines, err := f.tap.Take(ctx, fileGather)
		if err != nil {
			return
		}
		if err := f.write(lines); err != nil {
			f.log.Warn("trace ended", "file", f.name, "err", err)
			return
		}
	}
}

func (f *File) write(lines []byte) error {
	if f.size > 0 && f.size+int64(len(lines)) > f.half {
		if err := f.begin(); err != nil {
			return err
		}
	}
	n, err := f.file.Write(lines)
	f.size += int64(n)
	return err
}

// Close writes what is left and ends.
func (f *File) Close() error {
	f.stop()
	<-f.ended
	return f.file.Close()
}

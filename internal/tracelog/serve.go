package tracelog

import (
	"context"
	"io"
	"net/url"
	"time"
)

const (
	// readerRoom is what waits for a reader at most: a second of a busy session.
	readerRoom = 2 << 20
	// readerGather is how long lines wait for each other: people do not notice.
	readerGather = 100 * time.Millisecond
)

// Serve writes the lines that query asks for to w until ctx ends or w fails. The
// fields of query are name (beginnings of names), session and path, each as often
// as wanted.
func (h *Hub) Serve(ctx context.Context, query url.Values, w io.Writer) error {
	t, err := h.Tap(Filter{Names: query["name"], Sessions: query["session"], Paths: query["path"]}, readerRoom)
	if err != nil {
		return err
	}
	defer t.Close()
	for {
		lines, err := t.Take(ctx, readerGather)
		if err != nil {
			return nil // ctx has ended, and that is what it is for
		}
		if _, err := w.Write(lines); err != nil {
			return err
		}
	}
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"
)

// What a terminal is told (ECMA-48): go to the top left corner, clear what is below, clear the rest of the line. It flickers less than clearing first.
const (
	home       = "\x1b[H"
	clearBelow = "\x1b[J"
	clearLine  = "\x1b[K"
)

// watching shows something again and again until it is told to stop.
type watching struct {
	every  time.Duration
	screen bool // out is a terminal: overwrite what was shown before
	out    io.Writer
}

// run shows what show writes until ctx ends. What show cannot do, such as asking a program that is just being restarted, is shown in its place,
// and tried again.
func (v *watching) run(ctx context.Context, show func(w io.Writer) error) error {
	tick := time.NewTicker(v.every)
	defer tick.Stop()
	for first := true; ; first = false {
		var b bytes.Buffer
		if err := show(&b); err != nil && ctx.Err() == nil {
			fmt.Fprintln(&b, dash(err.Error()))
		}
		if err := v.paint(b.Bytes(), first); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// paint writes one picture.
func (v *watching) paint(text []byte, first bool) error {
	if v.screen {
		text = append(bytes.ReplaceAll(text, []byte("\n"), []byte(clearLine+"\n")), clearBelow...)
		text = append([]byte(home), text...)
	} else if !first {
		text = append([]byte("\n"), text...)
	}
	_, err := v.out.Write(text)
	return err
}

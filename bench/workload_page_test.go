package bench

import "testing"

// The page is about what the source says that pages are.
func TestPageTree(t *testing.T) {
	objects := pageTree()
	var sum int64
	blocking := 0
	for i, o := range objects {
		sum += o.size
		if o.blocks {
			blocking++
		}
		if o.parent >= i || o.parent < 0 && i > 0 {
			t.Errorf("object %d is mentioned by %d", i, o.parent)
		}
		if o.blocks && o.parent > 0 {
			t.Errorf("object %d blocks drawing, but only %d mentions it", i, o.parent)
		}
	}
	if len(objects) != 60 || sum < 1_850_000 || sum > 1_950_000 || blocking < 3 {
		t.Errorf("page of %d objects, %d bytes, %d blocking", len(objects), sum, blocking)
	}
	again := pageTree()
	for i := range objects {
		if objects[i] != again[i] {
			t.Fatal("the page is not the same every time")
		}
	}
}

func TestPageUsesSixConnections(t *testing.T) {
	l := newLine(t)
	s := setting(t, l)
	if err := newPageLoad(pageTree(), s, 0).run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l.dials < 1 || l.dials > pageConns {
		t.Errorf("%d connections, want at most %d", l.dials, pageConns)
	}
}

package engine

import (
	"io"
	"strings"
	"sync"
	"unicode"
)

const (
	tailBytes     = 64 << 10 // kept of an engine's standard error
	tailLines     = 20       // shown of it
	tailLineRunes = 400      // shown of one line
)

// tail is a writer that keeps the end of what is written, whatever its size and encoding.
type tail struct {
	mu   sync.Mutex
	ring []byte
	next int  // where the next byte goes
	full bool // the ring has been filled once
	tee  io.Writer
}

func newTail(tee io.Writer) *tail { return &tail{ring: make([]byte, tailBytes), tee: tee} }

// Write never fails: an engine must not be stopped by a tee that is.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	if t.tee != nil {
		if _, err := t.tee.Write(p); err != nil {
			t.tee = nil
		}
	}
	if len(p) > len(t.ring) {
		p = p[len(p)-len(t.ring):]
	}
	for len(p) > 0 {
		k := copy(t.ring[t.next:], p)
		p = p[k:]
		if t.next += k; t.next == len(t.ring) {
			t.next, t.full = 0, true
		}
	}
	return n, nil
}

// lines returns the last lines that are not blank, made safe for a terminal.
func (t *tail) lines() []string {
	t.mu.Lock()
	var text string
	if t.full {
		text = string(t.ring[t.next:]) + string(t.ring[:t.next])
	} else {
		text = string(t.ring[:t.next])
	}
	t.mu.Unlock()
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if line = printable(line); line != "" {
			out = append(out, line)
		}
	}
	return out[max(0, len(out)-tailLines):]
}

// printable is a line as a terminal without surprises would show it: of a progress bar that was drawn again and again
// the last drawing, no control characters, valid UTF-8, cut to a width.
func printable(line string) string {
	line = strings.TrimRightFunc(line, unicode.IsSpace)
	line = line[strings.LastIndexByte(line, '\r')+1:]
	line = strings.ToValidUTF8(line, "\uFFFD")
	line = strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case !unicode.IsPrint(r) && r != '\uFFFD':
			return -1
		}
		return r
	}, line)
	if r := []rune(line); len(r) > tailLineRunes {
		line = string(r[:tailLineRunes]) + "..."
	}
	return line
}

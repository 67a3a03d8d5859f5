package report

import (
	"strings"
	"unicode/utf8"
)

// style is an ANSI escape sequence that begins a way of writing; the empty one is plain.
type style string

const (
	plain  style = ""
	bold   style = "\x1b[1m"
	faint  style = "\x1b[2m"
	red    style = "\x1b[1;31m"
	green  style = "\x1b[1;32m"
	yellow style = "\x1b[1;33m"
	reset        = "\x1b[0m"
)

// page collects lines for a terminal.
type page struct {
	b     strings.Builder
	color bool
	width int
}

func (t *page) styled(st style, s string) string {
	if !t.color || st == plain || s == "" {
		return s
	}
	return string(st) + s + reset
}

func (t *page) line(s string) {
	t.b.WriteString(strings.TrimRight(s, " "))
	t.b.WriteByte('\n')
}

// wrap writes first and then words, broken between words at the width; the lines that follow are indented as far as
// first is wide. first may be styled, words may not.
func (t *page) wrap(st style, first, words string) {
	indent := utf8.RuneCountInString(first)
	room := max(t.width-indent, 20)
	lead := t.styled(st, first)
	for _, l := range breakLines(clean(words), room) {
		t.line(lead + l)
		lead = strings.Repeat(" ", indent)
	}
}

// breakLines breaks s between words into lines of at most width characters; a longer word has its own line.
func breakLines(s string, width int) []string {
	var lines []string
	line, n := "", 0
	for _, word := range strings.Fields(s) {
		w := utf8.RuneCountInString(word)
		if n > 0 && n+1+w > width {
			lines = append(lines, line)
			line, n = "", 0
		}
		if n > 0 {
			line, n = line+" ", n+1
		}
		line, n = line+word, n+w
	}
	return append(lines, line)
}

// cell is one entry of a table.
type cell struct {
	s     string
	style style
	right bool // aligned
}

// table writes rows with their columns aligned, two spaces apart and indented by two. The last column is broken into
// lines where it is too wide.
func (t *page) table(rows [][]cell) {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if i < len(row)-1 || c.right {
				widths[i] = max(widths[i], utf8.RuneCountInString(c.s))
			}
		}
	}
	for _, row := range rows {
		line, at := "  ", 2
		for i, c := range row {
			pad := strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(c.s)))
			switch {
			case i == len(row)-1 && !c.right:
				for k, part := range breakLines(c.s, max(t.width-at, 12)) {
					if k > 0 {
						t.line(line)
						line = strings.Repeat(" ", at)
					}
					line += t.styled(c.style, part)
				}
			case c.right:
				line += pad + t.styled(c.style, c.s) + "  "
			default:
				line += t.styled(c.style, c.s) + pad + "  "
			}
			at += widths[i] + 2
		}
		t.line(line)
	}
}

package main

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// drawn is a progress on a terminal of that width, without the goroutine that draws.
func drawn(width int) (*progress, *strings.Builder) {
	w := &strings.Builder{}
	return &progress{w: w, width: func() int { return width }}, w
}

var escape = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")

func TestProgressFitsTheTerminal(t *testing.T) {
	for _, width := range []int{60, 80, 200} {
		for _, total := range []int{0, 785} {
			p, w := drawn(width)
			p.phase(strings.Repeat("a long name of what is done ", 9), total/2, total)
			p.render()
			shown := 0
			for line := range strings.SplitSeq(escape.ReplaceAllString(w.String(), ""), "\r") {
				if n := utf8.RuneCountInString(strings.TrimRight(line, " ")); n > 0 {
					shown++
					if n >= width {
						t.Errorf("%d columns are too few for the line %q of a phase of %d", width, line, total)
					}
				}
			}
			if shown == 0 {
				t.Errorf("nothing was drawn for a phase of %d", total)
			}
		}
	}
}

func TestProgressGoesOnAndBeginsAnew(t *testing.T) {
	p, w := drawn(80)
	p.phase("training", 3, 10)
	p.render()
	bar := p.bar
	p.phase("testing", 4, 10)
	p.render()
	if p.bar != bar || !strings.Contains(w.String(), "testing") {
		t.Error("another name alone must change the name and keep the bar")
	}
	for _, next := range []struct {
		reason      string
		done, total int
	}{{"fewer are done", 2, 10}, {"another total", 2, 11}, {"no total", 0, 0}} {
		p.phase("next", next.done, next.total)
		if p.bar != nil || !strings.HasSuffix(w.String(), clearLine) {
			t.Errorf("%s: that is another phase, whose bar must begin anew on an empty line", next.reason)
		}
		p.render()
	}
}

func TestProgressWithoutATerminal(t *testing.T) {
	w := &strings.Builder{}
	p := &progress{w: w, plain: true}
	for i := range 100 {
		p.phase("training", i, 100)
	}
	p.phase("judging", 0, 0)
	p.line("a tool's line")
	p.more = true
	p.line("another")
	p.finish()
	p.finish()
	if got, want := w.String(), "training\njudging\n  another\n"; got != want {
		t.Errorf("it wrote %q, want %q", got, want)
	}
}

// TestProgressTellsALogHowFarItIs: without a terminal a phase that takes long is heard of, with the time that is left.
func TestProgressTellsALogHowFarItIs(t *testing.T) {
	w := &strings.Builder{}
	p := &progress{w: w, plain: true}
	p.phase("training", 0, 100)
	p.phase("training", 10, 100)
	p.since, p.told = p.since.Add(-2*tellEvery), p.told.Add(-2*tellEvery) // as if that had been long ago
	p.phase("training", 25, 100)
	p.phase("training", 26, 100)
	if want := "training\ntraining: 25 of 100, about 2 min left\n"; w.String() != want {
		t.Errorf("it wrote %q, want %q", w.String(), want)
	}
	for _, x := range []struct {
		since       time.Duration
		done, total int
		want        string
	}{{time.Hour, 0, 9, ""}, {10 * time.Second, 1, 3, ", about 20 s left"}, {time.Minute, 1, 4, ", about 3 min left"}, {time.Minute, 4, 4, ", about 0 s left"}} {
		if got := timeLeft(x.since, x.done, x.total); got != x.want {
			t.Errorf("after %v, %d of %d: %q, want %q", x.since, x.done, x.total, got, x.want)
		}
	}
}

// TestProgressOfSeveralComparisons: with the second one begins what is known of the time that all take.
func TestProgressOfSeveralComparisons(t *testing.T) {
	for _, x := range []struct {
		i, of int
		since time.Duration
		want  string
	}{{0, 1, 0, ""}, {0, 3, 0, "1 of 3: "}, {1, 3, 2 * time.Minute, "2 of 3, about 4 min left: "}, {2, 3, 50 * time.Second, "3 of 3, about 25 s left: "}} {
		if got := which(x.i, x.of, x.since); got != x.want {
			t.Errorf("comparison %d of %d: %q, want %q", x.i, x.of, got, x.want)
		}
	}
	w := &strings.Builder{}
	a := &app{stderr: w}
	if err := a.each([]string{"a", "b"}, func(name string) error {
		p := a.newProgress()
		defer p.finish()
		p.phase("training "+name, 0, 0)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := regexp.MustCompile(`^1 of 2: training a\n2 of 2, about \d+ (s|min) left: training b\n$`); !want.MatchString(w.String()) {
		t.Errorf("it wrote %q, want %v", w.String(), want)
	}
}

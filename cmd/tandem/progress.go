package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows what is going on: a bar on a terminal, else a line for each new phase, and nothing with --quiet.
//
// The bar is drawn by one goroutine at a steady pace: a phase that ends soon shows nothing, one whose end is not known still
// moves, and a thousand steps a second cost nothing.
type progress struct {
	w     io.Writer // nil: nothing is shown
	plain bool
	more  bool
	// prefix stands before each phase: which of several comparisons is made.
	prefix string
	width  func() int // of the terminal

	mu          sync.Mutex
	what        string
	done, total int
	since       time.Time // when the phase began
	told        time.Time // when it was last said how far it is, without a terminal
	bar         *progressbar.ProgressBar
	drawn       string // the description that the bar was made with
	stop        chan struct{}
	stopped     chan struct{}
}

const (
	drawEvery = 100 * time.Millisecond
	drawAfter = 400 * time.Millisecond
	// tellEvery is how often a log is told how far a long phase is.
	tellEvery = 20 * time.Second
	// clearLine goes to the line's beginning and erases it (ECMA-48: EL).
	clearLine = "\r\x1b[K"
)

func (a *app) newProgress() *progress {
	if a.quiet {
		return &progress{}
	}
	is, _ := terminal(a.stderr)
	p := &progress{w: a.stderr, plain: !is, more: a.verbose, prefix: a.which}
	if is {
		p.width = func() int { _, width := terminal(a.stderr); return width }
		p.stop, p.stopped = make(chan struct{}), make(chan struct{})
		go p.draw()
	}
	return p
}

// phase says what is being done and how much of it is done; a total of 0 is unknown.
func (p *progress) phase(what string, done, total int) {
	if p.w == nil {
		return
	}
	what = p.prefix + what
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.plain {
		now := time.Now()
		if what != p.what {
			fmt.Fprintln(p.w, what)
			p.what, p.since, p.told = what, now, now
		} else if total > 0 && now.Sub(p.told) >= tellEvery {
			fmt.Fprintf(p.w, "%s: %d of %d%s\n", what, done, total, timeLeft(now.Sub(p.since), done, total))
			p.told = now
		}
		return
	}
	// A phase of which one part follows the other under another name goes on.
	if total != p.total || done < p.done || total == 0 && what != p.what {
		p.erase()
		p.since = time.Now()
	}
	p.what, p.done, p.total = what, done, total
}

// timeLeft says how long the rest takes if it goes on as it went; nothing before anything is done.
func timeLeft(since time.Duration, done, total int) string {
	if done <= 0 || total <= 0 {
		return ""
	}
	left := time.Duration(float64(since) / float64(done) * float64(total-done))
	if left < time.Minute {
		return fmt.Sprintf(", about %d s left", int(left.Round(time.Second).Seconds()))
	}
	return fmt.Sprintf(", about %d min left", int(left.Round(time.Minute).Minutes()))
}

// line shows a tool's own line with --verbose.
func (p *progress) line(text string) {
	if p.w == nil || !p.more {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		fmt.Fprint(p.w, clearLine)
	}
	fmt.Fprintf(p.w, "  %s\n", text)
}

// notice shows a line that the user should know of, and which stays.
func (p *progress) notice(text string) {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		fmt.Fprint(p.w, clearLine)
	}
	fmt.Fprintln(p.w, text)
}

// finish takes the bar away for good; it may be called again.
func (p *progress) finish() {
	if p.stop == nil {
		return
	}
	p.mu.Lock()
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	p.mu.Unlock()
	<-p.stopped
}

func (p *progress) draw() {
	defer close(p.stopped)
	tick := time.NewTicker(drawEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			p.mu.Lock()
			p.erase()
			p.mu.Unlock()
			return
		case <-tick.C:
			p.mu.Lock()
			if p.what != "" && time.Since(p.since) >= drawAfter {
				p.render()
			}
			p.mu.Unlock()
		}
	}
}

// render draws the present phase. mu is held.
func (p *progress) render() {
	if p.bar == nil {
		size := int64(p.total)
		if size == 0 {
			size = -1
		}
		p.bar = progressbar.NewOptions64(size,
			progressbar.OptionSetWriter(p.w), progressbar.OptionSetWidth(20), progressbar.OptionSetPredictTime(p.total > 0),
			progressbar.OptionSpinnerType(14), progressbar.OptionSetSpinnerChangeInterval(0), // no goroutine of its own
		)
	}
	if text := p.description(); text != p.drawn {
		fmt.Fprint(p.w, clearLine)
		p.drawn = text
		p.bar.Describe(text)
	}
	_ = p.bar.Set(p.done)
	_ = p.bar.RenderBlank()
}

// description is the phase's name, cut so that the line with bar, share and times fits on the terminal.
func (p *progress) description() string {
	room := 80
	if w := p.width(); w > 0 {
		room = w
	}
	room -= 20 // spinner and time
	if p.total > 0 {
		room -= 25 // bar and share
	}
	if text := []rune(p.what); len(text) > room && room > 1 {
		return string(text[:room-1]) + "…"
	}
	return p.what
}

// erase removes the bar. mu is held.
func (p *progress) erase() {
	if p.bar != nil {
		fmt.Fprint(p.w, clearLine)
	}
	p.bar, p.drawn = nil, ""
}

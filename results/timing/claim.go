package timing

import (
	"fmt"
	"math"
	"strconv"

	"tandem/results/record"
)

// Claim writes into t what may be said about the speed: t.Claim in words and, when a difference may be claimed, t.Speedup; and
// the same for each of t.Comparisons. A candidate that is slower is said to be as plainly as one that is faster. mutant
// names a mistake that was planted in the candidate, whose speed then is not the candidate's.
func Claim(t *record.Timing, verdict record.Verdict, mutant string) {
	reference, candidate := t.Reference.Engine, t.Candidate.Engine
	if reference == candidate {
		reference, candidate = reference+" (reference)", candidate+" (candidate)"
	}
	t.Claim, t.Speedup = claim(pair{t.Measured, reference, candidate, setup(t.Reference), setup(t.Candidate)}, t.Resolution, verdict, mutant)
	for i := range t.Comparisons {
		c := &t.Comparisons[i]
		c.Claim, c.Speedup = claim(pair{c.Measured, reference, candidate, c.Reference, c.Candidate}, t.Resolution, verdict, mutant)
	}
}

func setup(e record.EngineTiming) record.Setup { return record.Setup{Mode: e.Mode, Threads: e.Threads} }

// pair is a ratio and whose it is.
type pair struct {
	measured             record.Speedup
	reference, candidate string
	at, against          record.Setup // of the reference, of the candidate
}

func claim(p pair, resolution record.Speedup, verdict record.Verdict, mutant string) (string, *record.Speedup) {
	m := p.measured
	noise := deviation(resolution)
	switch {
	case verdict != record.Pass:
		return fmt.Sprintf("no speed-up is claimed: the verdict is %s", verdict), nil
	case mutant != "":
		return fmt.Sprintf("no speed-up is claimed: the candidate had the planted mistake %q", mutant), nil
	case m.N < record.MinPairs:
		return fmt.Sprintf("no speed-up is claimed: %s is too few, at least %d are needed", plural(m.N, "pair of blocks", "pairs of blocks"), record.MinPairs), nil
	case math.IsNaN(noise):
		return "no speed-up is claimed: the reference was not timed against itself, so the noise of this session is unknown", nil
	case !(math.Abs(math.Log(m.Median)) > math.Log(noise)) || !(m.Low > 1 || m.High < 1):
		reference, candidate := label(p.reference, p.at.Mode), label(p.candidate, p.against.Mode)
		if a, b := p.against.Threads, p.at.Threads; a != b {
			reference, candidate = reference+" at "+plural(b, "thread", "threads"), candidate+" at "+plural(a, "thread", "threads")
		}
		return fmt.Sprintf("no difference beyond the noise of this session: %s takes %s times as long as %s (95 %% interval %s to %s), and the reference against itself differs by up to %s",
			reference, number(m.Median), candidate, number(m.Low), number(m.High), percent(noise)), nil
	default:
		return difference(p), &m
	}
}

// difference says which is faster and by how much.
func difference(p pair) string {
	m := p.measured
	word, median, low, high := "faster", m.Median, m.Low, m.High
	if m.Median < 1 {
		word, median, low, high = "slower", 1/m.Median, 1/m.High, 1/m.Low
	}
	interval := fmt.Sprintf("(95 %% interval %s to %s)", number(low), number(high))
	reference, candidate := label(p.reference, p.at.Mode), label(p.candidate, p.against.Mode)
	if a, b := p.against.Threads, p.at.Threads; a != b {
		return fmt.Sprintf("%s at %s is %s times %s than %s at %s %s",
			candidate, plural(a, "thread", "threads"), number(median), word, reference, plural(b, "thread", "threads"), interval)
	}
	return fmt.Sprintf("%s is %s times %s than %s at %s each %s",
		candidate, number(median), word, reference, plural(p.at.Threads, "thread", "threads"), interval)
}

// label names a contender.
func label(name, mode string) string {
	if mode == "" {
		return name
	}
	return name + " " + mode
}

// number shows about three digits, and more where three would be 1.00.
func number(x float64) string {
	switch d := math.Abs(x - 1); {
	case d >= 0.01 || d == 0:
		digits := 2
		switch {
		case x >= 100:
			digits = 0
		case x >= 10:
			digits = 1
		}
		return strconv.FormatFloat(x, 'f', digits, 64)
	default:
		return strconv.FormatFloat(x, 'f', 4, 64)
	}
}

// percent shows a factor as a distance from 1.
func percent(factor float64) string {
	return strconv.FormatFloat(100*(factor-1), 'f', 1, 64) + " %"
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

package timing

import (
	"fmt"
	"math"
	"strconv"

	"tandem/results/record"
)

// Claim writes into t what may be said about the speed: t.Claim in words and, when a difference may be claimed, t.Speedup.
// A candidate that is slower is said to be as plainly as one that is faster. mutant names a mistake that was planted
// in the candidate, whose speed then is not the candidate's.
func Claim(t *record.Timing, verdict record.Verdict, mutant string) {
	t.Speedup = nil
	m := t.Measured
	noise := deviation(t.Resolution)
	switch {
	case verdict != record.Pass:
		t.Claim = fmt.Sprintf("no speed-up is claimed: the verdict is %s", verdict)
	case mutant != "":
		t.Claim = fmt.Sprintf("no speed-up is claimed: the candidate had the planted mistake %q", mutant)
	case m.N < record.MinPairs:
		t.Claim = fmt.Sprintf("no speed-up is claimed: %s is too few, at least %d are needed", plural(m.N, "pair of blocks", "pairs of blocks"), record.MinPairs)
	case math.IsNaN(noise):
		t.Claim = "no speed-up is claimed: the reference was not timed against itself, so the noise of this session is unknown"
	case !(math.Abs(math.Log(m.Median)) > math.Log(noise)) || !(m.Low > 1 || m.High < 1):
		t.Claim = fmt.Sprintf("no difference beyond the noise of this session: %s takes %s times as long as %s (95 %% interval %s to %s), and the reference against itself differs by up to %s",
			who(t.Reference), number(m.Median), who(t.Candidate), number(m.Low), number(m.High), percent(noise))
	default:
		claimed := m
		t.Speedup = &claimed
		t.Claim = difference(t)
	}
}

// difference says which is faster and by how much.
func difference(t *record.Timing) string {
	m := t.Measured
	word, median, low, high := "faster", m.Median, m.Low, m.High
	if m.Median < 1 {
		word, median, low, high = "slower", 1/m.Median, 1/m.High, 1/m.Low
	}
	interval := fmt.Sprintf("(95 %% interval %s to %s)", number(low), number(high))
	if a, b := t.Candidate.Threads, t.Reference.Threads; a != b {
		return fmt.Sprintf("%s at %s is %s times %s than %s at %s %s",
			who(t.Candidate), plural(a, "thread", "threads"), number(median), word, who(t.Reference), plural(b, "thread", "threads"), interval)
	}
	return fmt.Sprintf("%s is %s times %s than %s at %s each %s",
		who(t.Candidate), number(median), word, who(t.Reference), plural(t.Reference.Threads, "thread", "threads"), interval)
}

// who names a contender.
func who(e record.EngineTiming) string { return label(e.Engine, e.Mode) }

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

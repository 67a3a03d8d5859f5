package timing

import (
	"fmt"

	"tandem/results/record"
)

// wide is the noise beyond which a session is called noisy.
const wide = 1.10

// Warnings are what a reader must know before believing t, each a sentence. twin is the mode that the reference was
// timed against itself in.
func Warnings(t *record.Timing, twin string) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if t.Blocks < record.MinPairs {
		add("Only %s of each contender: at least %d are needed to claim a speed-up.", plural(t.Blocks, "block was timed", "blocks were timed"), record.MinPairs)
	}
	r := t.Resolution
	if noise := deviation(r); !(noise <= wide) {
		add("The A/A run is wide (%s): something else used the processor. Repeat the timing on an idle machine.", percent(noise))
	}
	if r.N >= record.MinPairs && (r.Low > 1 || r.High < 1) {
		add("Two identical processes of the reference differ (ratio %s, 95 %% interval %s to %s): differences of this size mean nothing.", number(r.Median), number(r.Low), number(r.High))
	}
	if twin != t.Reference.Mode {
		add("The reference was timed against itself in mode %q, but its best mode is %q.", twin, t.Reference.Mode)
	}
	if t.Reference.Threads != t.Candidate.Threads {
		add("The engines had different numbers of threads: %d the reference, %d the candidate.", t.Reference.Threads, t.Candidate.Threads)
	}
	return out
}

// LoadWarning says that the machine had more to do than the threads of one engine, or nothing. load are averages as
// environment.Load gives them, of which the first, over a minute, counts; when says the moment ("began", "ended").
func LoadWarning(load []float64, threads int, when string) string {
	// One contender runs at a time; one more is left for tandem itself and the system.
	if len(load) == 0 || !(load[0] > float64(threads+1)) {
		return ""
	}
	return fmt.Sprintf("The load was %.2f when the timing %s, with %s at work: another program may have slowed both engines.",
		load[0], when, plural(threads, "thread", "threads"))
}

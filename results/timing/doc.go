// Package timing measures how fast two engines train, so that the answer holds on a machine that other programs use
// too, and says what may be concluded.
//
// It measures nothing before parity was judged, has no opinion on parity, and starts no process: [Measure] takes
// engines that are loaded, and [ColdStart] a function that starts one.
//
// # How
//
// All contenders are alive at once and take turns: a round gives each of them one block of steps, in an order drawn
// anew each round from a recorded seed. A slow minute of the machine so falls on all of them. Between blocks nothing runs for a
// moment, because a thread pool may spin a little before it parks. The engine itself times each step (package
// engine says what is inside); a block's value is the median of its steps.
//
// A round gives one paired ratio, reference block over candidate block, above 1 when the candidate is faster. The
// result is the median of these ratios with its 95 % confidence interval from order statistics
// (golang.org/x/perf/benchmath, which assumes nothing about the distribution). Below 6 values there is no such
// interval; the range of the values then stands with the confidence it has, 1 - 2^(1-n).
//
// # The reference at its best
//
// The reference takes part in each of its modes, and the one with the lowest median is the reference of the
// comparison. The minimum of several noisy medians is a little lower than the best mode's true median: the choice
// favours the reference, and is meant to.
//
// The main comparison is like for like, as many threads on each side. Contenders with other numbers of threads run in the same
// rounds: each number is compared like for like, and the candidate with the reference at whatever number it is fastest with.
//
// # Resolution
//
// A second process of the reference, the twin, runs in the same rounds. The ratio between the two is 1 in truth, so
// its interval shows what this session cannot resolve. [Claim] claims no speed-up and no slow-down that is not larger than that
// interval's largest distance from 1, none with fewer than record.MinPairs rounds, and none at all without a PASS.
package timing

// Package diff compares two runs of one experiment, an old one and a new one: did the verdict get worse, and did the speed-up fall by more than
// noise explains? It reads records and nothing else.
//
// # Speed
//
// Two sessions on one machine differ by more than the blocks of one session do: a neighbour, a frequency, a layout in memory. What
// is compared is therefore not a step's time but the speed-up, whose two sides were measured in turns: what slows a session slows both. A
// change of it counts when two things hold:
//
//   - the Mann-Whitney U test of the two runs' paired ratios gives p < 0.05 (golang.org/x/perf/benchmath, as benchstat does it);
//   - the medians differ by more than the larger of the two sessions' resolutions, the reference against itself.
//
// The times of the steps are shown with their p and judge nothing.
package diff

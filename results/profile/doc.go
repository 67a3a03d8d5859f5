// Package profile holds what an engine's training step is spent on (the command profile of package results/engine) to what the machine could do
// at that moment, and sums it up by layer and by operator.
//
// The limit of a call is the longer of two times: that of its floating-point operations at the rate of multiply-adds in registers, and that of
// the bytes that it reads and writes, each once, at the bandwidth of the smallest measured set that holds them. A step's limit is the sum of its
// calls' (Williams, Waterman and Patterson, "Roofline: an insightful visual performance model", 2009). What a call computes beside products,
// an exponential say, is not in its limit, and an algorithm that needs fewer operations than the definition may get below it.
//
// Where the rest of the time goes is told by what each operator takes beyond its limit, the largest first.
package profile

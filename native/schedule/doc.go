// Package schedule says which learning rate each training step has. One file a kind of decline; what comes before it, a linear
// warm-up, is the same for all of them.
//
// Steps are counted from 0, and step k's update uses the rate of step k:
//
//	k < warm-up     peak * (k+1) / (warm-up+1)
//	constant        peak
//	linear, cosine  minimum + (peak - minimum) * share(x), x = (k - warm-up) / (total - warm-up); from total on the minimum
//	step            peak * gamma^n, n the number of milestones that are at most k
//
// These are the closed forms of torch.optim.lr_scheduler's LinearLR, CosineAnnealingLR, MultiStepLR and SequentialLR; the type
// Schedule of fixtures/experiment says with which arguments. Everything is computed in float64, from the step's number alone: there
// is no state that could be lost.
//
// To add a kind, add a file like cosine.go and a recorded run of the real one to the test.
package schedule

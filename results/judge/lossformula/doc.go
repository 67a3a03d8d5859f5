// Package lossformula holds the published formulas of the losses, as torch.nn.functional defines them, and settings that are known to be
// taken for others. It is arithmetic on float64 slices: the judge applies it to a candidate's own outputs and sees which loss it computed,
// and a comparison takes it for the loss on the test rows.
//
// It is not a loss to train with: the engines have their own.
//
//	cross_entropy    nll of log softmax(x)
//	nll              -((1-s) w[t] x[t] + s/C sum over c of w[c] x[c]), label smoothing s; a mean is over the sum of the w[t] that count
//	mse, l1          (x-t)^2, |x-t|
//	huber            (x-t)^2 / 2 where |x-t| < delta, else delta (|x-t| - delta/2)
//	smooth_l1        (x-t)^2 / (2 beta) where |x-t| < beta, else |x-t| - beta/2
//	bce_with_logits  (1-t) x + (1 + (w-1) t) log(1 + exp(-x))
//	kl_div           t (log t - x), or exp(t) (t - x) with log_target; "batchmean" divides the sum by the rows
//	output           x
package lossformula

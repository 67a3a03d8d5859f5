package schedule

import "math"

// The rate falls along half a period of a cosine: torch.optim.lr_scheduler.CosineAnnealingLR (Loshchilov and Hutter, "SGDR:
// Stochastic Gradient Descent with Warm Restarts", 2017), without restarts.
func init() {
	kinds["cosine"] = declining(func(x float64) float64 { return (1 + math.Cos(math.Pi*x)) / 2 })
}

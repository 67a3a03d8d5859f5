package schedule

// The rate falls by the same amount at each step: torch.optim.lr_scheduler.LinearLR downwards.
func init() { shares["linear"] = func(x float64) float64 { return 1 - x } }

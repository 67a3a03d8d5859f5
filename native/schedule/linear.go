package schedule

// The rate falls by the same amount at each step: torch.optim.lr_scheduler.LinearLR downwards.
func init() { kinds["linear"] = declining(func(x float64) float64 { return 1 - x }) }

package schedule

// The rate stays at its peak.
func init() {
	kinds["constant"] = kind{rate: func(c Config, _ int64) float64 { return c.Peak }}
}

package schedule

// The rate stays at its peak.
func init() { shares["constant"] = nil }

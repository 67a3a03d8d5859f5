package op

// GRU is a layer of gated recurrent units. linear_before_reset = 1, PyTorch's kind, applies the reset gate to the product of state and
// weights, 0 to the state.
func init() {
	registerRecurrent("GRU", recurrentCases(3, false,
		Case{Name: "linear before reset", Attributes: map[string]any{"linear_before_reset": int64(1)}},
		Case{Name: "linear before reset, reverse", Attributes: map[string]any{"linear_before_reset": int64(1), "direction": "reverse"}})...)
}

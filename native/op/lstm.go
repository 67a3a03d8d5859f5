package op

// LSTM is a layer of long short-term memory. Peepholes, clipping and sequences of different lengths are refused: PyTorch has none of
// them in a graph.
func init() {
	registerRecurrent("LSTM", recurrentCases(4, true,
		Case{Name: "other activations", Attributes: map[string]any{"activations": []string{"Sigmoid", "Relu", "Tanh"}}})...)
}

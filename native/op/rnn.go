package op

// RNN is a layer whose state is an activation, Tanh or Relu, of products with the inputs and with the state before (Elman, "Finding
// Structure in Time", 1990).
func init() {
	registerRecurrent("RNN", recurrentCases(1, false,
		Case{Name: "relu", Attributes: map[string]any{"activations": []string{"Relu"}}})...)
}

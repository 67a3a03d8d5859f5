// Package tracetest is a training program of a few hundred lines that answers as an engine does, for tests of whatever
// reads traces: a perceptron with one hidden layer, ReLU, dropout and softmax cross-entropy, trained by AdamW, with
// gradients written out by hand. It computes in float32 and float64, in several orders of summation that differ in
// rounding alone, and makes any of a list of known mistakes on request.
//
// It is no trainer for anything else: only tests import it, and it reads neither the model nor the data file but makes both of its seed.
package tracetest

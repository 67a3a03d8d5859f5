// Package updateformula holds the published update rules of SGD, Adam and AdamW and the wrong ones that are known to be taken for
// them. It is arithmetic on float64 slices: the judge applies each to the reference's state and gradients and sees which one a candidate
// computed.
//
// It is not an optimizer: nothing trains with it, and the engines have their own.
//
// The right rules are PyTorch's (torch.optim.SGD, Adam, AdamW, the pseudo-code in their documentation). With t = step+1, g the gradient, w the
// weight, lambda the weight decay:
//
//	SGD    g += lambda w; b = g at the first step, mu b + (1-tau) g later; w -= lr (g + mu b with Nesterov, else b)
//	Adam   g += lambda w; m += (1-beta1)(g-m); v = beta2 v + (1-beta2) g^2; w -= lr/(1-beta1^t) m / (sqrt(v/(1-beta2^t)) + eps)
//	AdamW  w -= lr lambda w first, then as Adam without lambda
//
// (D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1; I. Loshchilov and F. Hutter,
// "Decoupled weight decay regularization", ICLR 2019, algorithm 2; I. Sutskever et al., ICML 2013, for momentum.)
//
// The wrong ones, [Mistakes], each change one thing: where epsilon stands (inside the root; before the bias correction, as in section 2 of the
// Adam paper and in ONNX's operator ai.onnx.preview.training.Adam), the bias correction, the kind of decay, the dampening, the state. To
// add one, add a line to the table.
package updateformula

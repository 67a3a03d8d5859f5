// Package fingerprint recognizes known mistakes in two traces. The judge asks it after a FAIL: each line of [Table] is a mistake with a
// name and a test that computes, in float64, what the mistake would have made of the reference's tensors, and compares that with what the
// candidate has.
//
// It does not decide a verdict, and it knows no engine and no operator: it sees tensors, the graph's nodes with their inputs, the data,
// and the published formulas of losses and optimizers (package updateformula).
//
// # When a fingerprint counts
//
// A prediction explains a tensor when the candidate is within the noise of it (pass_rho times the noise floor, or the limit float64_gap where
// float64 shows the failure) and it leaves at most a sixteenth of the difference from the reference. The first alone would let a wide floor explain
// anything; the second alone would take a small improvement for an explanation. A fingerprint must be there at more than half of the judged
// steps that show the failure. None may be found between two correct programs or in random tensors, and the tests hold each to that.
//
// A prediction that fits to rounding is [record.Exact]: of a tensor of n elements that n numbers agree to seven or fifteen digits
// has no other likely reason. Likely are those that related mistakes have as well, possible are symptoms.
//
// A Fingerprint that is marked General only describes a difference (a factor, a row); it is shown where no mistake with a name is found.
//
// # Adding one
//
// A name in names.go, a function, a line in the table, a row in the tests with a synthetic pair of tensors.
package fingerprint

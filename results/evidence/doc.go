// Package evidence writes what anyone needs to see a FAIL without tandem: the tensors at the place where the candidate left the noise, in
// the layout of ONNX's own test data sets, and a short Python script that needs numpy, onnx and onnxruntime alone.
//
// It judges nothing and finds nothing: where the failure is comes from the record's diagnosis (package results/judge).
//
// The folder holds
//
//	replay.py                        shows the difference; exit status 1 when it is there, 0 when it is not, 2 when the folder is damaged
//	case.json                        what the tensors are, the step, the engines, the tolerance
//	model.onnx                       of a failure in the forward pass: the one operator, cut out of the run's model
//	test_data_set_0/input_<i>.pb     what it reads, TensorProto
//	test_data_set_0/output_<i>.pb    the reference's result
//	test_data_set_0/candidate_<i>.pb the candidate's
//
// The operator is computed anew by ONNX Runtime (or onnx.reference, where that is not installed): a third opinion. Where values between it and
// the next compared ones are unknown, the model holds these operators as well. A failed optimizer update is computed anew by the published formula in
// numpy, a loss from both engines' outputs, the initial weights' digests from the run's model. For a gradient, a buffer, or tensors of
// which the trace kept a sample, the two results are compared and their ratio is shown. A dropout draws random numbers, which no other program
// does in the same way: its zeros and the factor on the rest are compared.
//
// Failures of the data and of the free-running curve have no evidence of this kind: there is nothing to compute anew.
package evidence

// Package op holds the operators, one file each: the shape rule, the kernel's binding for float32 and float64, and the gradient as
// nodes of the same graph, registered together as one [Def]. To add an operator, add a file like relu.go with its
// test cases; nothing else has to know of it. Operators of one operand that work elementwise take a few lines: see sigmoid.go. The
// official ONNX node tests run for every operator: after adding one, run go test ./native/op -update, then
// testdata/nodetests.py, then go test ./native/op -update again, and read what changed in testdata/unsupported.txt.
//
// An operator made by tandem itself, for a gradient for instance, is named "tandem.Something" and stands in the file of
// the operator that needs it.
package op

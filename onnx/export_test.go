package onnx

import "testing"

// LimitOneFile makes models of more bytes too large for one file, for a test.
func LimitOneFile(t *testing.T, bytes int) {
	was := oneFile
	oneFile = bytes
	t.Cleanup(func() { oneFile = was })
}

//go:build !unix

package kernel

import "testing"

// betweenFences returns size bytes; here no page can be made to fault, and the guard values alone find a wrong write.
func betweenFences(_ testing.TB, size int) []byte { return make([]byte, max(size, 4096)) }

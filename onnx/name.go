package onnx

import (
	"fmt"
	"unicode/utf8"

	"tandem/onnx/onnxpb"
)

// nameNodes gives every node a unique name, since errors, traces and the manifest refer to nodes by name. The first of several nodes
// with the same name keeps it.
func nameNodes(nodes []*onnxpb.NodeProto) {
	taken := make(map[string]bool, len(nodes))
	keeps := make([]bool, len(nodes))
	for i, n := range nodes {
		if name := n.GetName(); name != "" && !taken[name] && utf8.ValidString(name) {
			taken[name], keeps[i] = true, true
		}
	}
	for i, n := range nodes {
		if keeps[i] {
			continue
		}
		base := fmt.Sprintf("%s_%d", n.GetOpType(), i)
		name := base
		for k := 1; taken[name]; k++ {
			name = fmt.Sprintf("%s_%d", base, k)
		}
		taken[name] = true
		n.Name = &name
	}
}

package fingerprint

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"tandem/onnx"
)

// findBranchGradient looks for a value with several readers at which the gradients part: right for every parameter that works after it, off for the
// last one before it. What comes back to the value is the sum of what comes back from its readers, and one of them was left out or is wrong: the way
// around a residual block, say. Engines do not give the gradients of values, so that the parameters around it have to tell.
func findBranchGradient(l *Look) *Finding {
	if !l.usable() || l.Model == nil {
		return nil
	}
	off := map[string]bool{} // the parameters whose gradients are known, and whether they are off
	for i := range l.Pairs {
		off[strings.TrimPrefix(l.Pairs[i].Name, "gradients/")] = l.Pairs[i].Off
	}
	nodes := l.Model.Graph.Nodes
	readers := map[string][]*onnx.Node{}
	for _, n := range nodes {
		for _, in := range n.Inputs {
			if in != "" && !slices.Contains(readers[in], n) {
				readers[in] = append(readers[in], n)
			}
		}
	}
	for _, n := range slices.Backward(nodes) {
		for _, value := range n.Outputs {
			if value == "" || len(readers[value]) < 2 {
				continue
			}
			before, after := around(nodes, value, off)
			if len(before) == 0 || len(after) == 0 || !off[before[len(before)-1]] || slices.ContainsFunc(after, func(p string) bool { return off[p] }) {
				continue
			}
			offBefore := 0
			for _, p := range before {
				if off[p] {
					offBefore++
				}
			}
			if offBefore < l.off() { // elsewhere as well
				continue
			}
			var by []string
			for _, r := range readers[value] {
				by = append(by, fmt.Sprintf("%s %q", r.OpType, r.Name))
			}
			return &Finding{fmt.Sprintf("the gradients of all %d parameters that work after %q are right, that of %s, the last before it, is not: what comes back to this value is the sum over its readers (%s), and one of them is left out or wrong, as when the way around a residual block has no gradient",
				len(after), value, before[len(before)-1], strings.Join(by, ", ")), math.NaN()}
		}
	}
	return nil
}

// around returns the parameters, of those known, through which a value was made, and those through which it goes on, each in the order of the nodes
// that read them first.
func around(nodes []*onnx.Node, value string, known map[string]bool) (before, after []string) {
	made, follows := map[string]bool{value: true}, map[string]bool{value: true}
	for _, n := range slices.Backward(nodes) {
		if slices.ContainsFunc(n.Outputs, func(v string) bool { return made[v] }) {
			for _, in := range n.Inputs {
				made[in] = true
			}
		}
	}
	seen := map[string]bool{}
	for _, n := range nodes {
		on := slices.ContainsFunc(n.Inputs, func(v string) bool { return follows[v] })
		for _, in := range n.Inputs {
			if _, ok := known[in]; !ok || seen[in] {
				continue
			}
			switch {
			case made[in]:
				before = append(before, in)
			case on:
				after = append(after, in)
			default:
				continue // beside it, or turned first: the node that reads what was made of it may follow
			}
			seen[in] = true
		}
		for _, out := range n.Outputs {
			follows[out] = follows[out] || on && out != ""
		}
	}
	return before, after
}

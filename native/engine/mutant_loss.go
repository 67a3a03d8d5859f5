package engine

import (
	"slices"

	"tandem/native/train"
)

// Conditions of mistakes in the loss.

func ofClasses(n *Native) bool { return n.options.Loss.TakesClasses() }

// plainCrossEntropy demands the loss that one operator computes.
func plainCrossEntropy(n *Native) bool {
	l := n.options.Loss
	return l.Kind == "cross_entropy" && !weighs(n) && l.IgnoreIndex == nil && !smoothes(n)
}

// weighs demands weights of the classes that are not all alike.
func weighs(n *Native) bool {
	w := n.options.Loss.ClassWeights
	for _, x := range w {
		if x != w[0] {
			return true
		}
	}
	return false
}

// ignores demands an ignored label that is a class's number: only so can it be counted by mistake.
func ignores(n *Native) bool {
	i := n.options.Loss.IgnoreIndex
	return i != nil && *i >= 0 && *i < n.data.train.classes
}

func smoothes(n *Native) bool { return n.options.Loss.LabelSmoothing > 0 }

// bends demands a loss that is squared near zero and straight beyond a threshold.
func bends(n *Native) bool {
	return n.options.Loss.Kind == "huber" || n.options.Loss.Kind == "smooth_l1"
}

func doubleThreshold(o *train.Options) {
	o.Loss.Delta *= 2
	o.Loss.Beta *= 2
}

// weighsPositive demands weights of positive targets that are not all 1.
func weighsPositive(n *Native) bool {
	return slices.ContainsFunc(n.options.Loss.PositiveWeights, func(w float64) bool { return w != 1 })
}

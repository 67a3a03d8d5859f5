package engine

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/pass"
	"tandem/native/train"
	"tandem/onnx/tensor"
	"tandem/results/engine"
)

// Variants are legitimate ways to compute the same gradient that differ in rounding alone: other kernels, and other orders of the
// sums in matrix products. Their spread around the float64 gradient is the noise floor when the native trainer is the reference. The number
// of threads is none of them, since the results do not depend on it, nor is the width of vectors.

// The variants that use the portable kernels in the place of the vector ones, or the other way round.
const (
	genericKernels = "kernels=generic"
	vectorKernels  = "kernels=vector"
)

// variantNames lists the variants.
func variantNames() []string {
	var names []string
	switch paths := kernel.Paths(); {
	case kernel.Path() != paths[0]:
		names = append(names, genericKernels)
	case len(paths) > 1:
		names = append(names, vectorKernels)
	}
	for _, r := range pass.Reorderings() {
		names = append(names, string(r))
	}
	return names
}

// varied computes the gradient of the present step's batch at the present state, as a variant says.
func varied[T float32 | float64](n *Native, variant string, activations bool) (out map[string]*tensor.Tensor, loss float64, err error) {
	options := n.options
	changed := 0
	if variant == genericKernels || variant == vectorKernels {
		now, paths := kernel.Path(), kernel.Paths()
		path := paths[0]
		if variant == vectorKernels {
			path = paths[len(paths)-1]
		}
		if err := kernel.Use(path); err != nil {
			return nil, 0, fmt.Errorf("variant %q: %w", variant, err)
		}
		defer func() { _ = kernel.Use(now) }()
		changed++
	} else {
		options.Rewrite = func(g *ir.Graph) error {
			if n.options.Rewrite != nil {
				if err := n.options.Rewrite(g); err != nil {
					return err
				}
			}
			k, err := pass.Reorder(g, pass.Reordering(variant))
			if changed += k; err != nil {
				return fmt.Errorf("variant %q: %w", variant, err)
			}
			return nil
		}
	}
	t, err := train.New[T](n.model, options)
	if err != nil {
		return nil, 0, err
	}
	defer t.Close()
	if err := t.SetState(n.trainer.State()); err != nil {
		return nil, 0, err
	}
	out, loss, err = gradient(n, t, activations)
	if err == nil && changed == 0 {
		return nil, 0, engine.Errorf(engine.KindUnsupported, "variant %q changes nothing about this model", variant)
	}
	return out, loss, err
}

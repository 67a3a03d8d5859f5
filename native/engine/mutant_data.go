package engine

import (
	"math"
	"math/rand/v2"

	"tandem/onnx"
	"tandem/onnx/tensor"
)

// Mistakes in what is trained on and where training starts.

func shiftLabels(d *data) error {
	d.train.relabel = func(targets []int64) {
		for i, c := range targets {
			if c >= 0 { // others are ignored
				targets[i] = (c + 1) % d.train.classes
			}
		}
	}
	return nil
}

// dropShortBatches leaves out the batches that are shorter than the first.
func dropShortBatches(d *data) error {
	length := 0
	kept := []int64{}
	for k := range int64(d.steps) {
		batch, err := d.samplesOf(k)
		if err != nil {
			return err
		}
		if k == 0 {
			length = len(batch.rows)
		}
		if len(batch.rows) == length {
			kept = append(kept, k)
		}
	}
	d.kept = kept
	return nil
}

// roundWeights rounds every parameter to half precision, the nearest number with 11 bits or a multiple of 2^-24.
func roundWeights(m *onnx.Model) (*onnx.Model, error) {
	return changeWeights(m, func(w []float32) {
		for i, v := range w {
			if v != 0 {
				ulp := math.Ldexp(1, max(math.Ilogb(float64(v)), -14)-10)
				w[i] = float32(math.RoundToEven(float64(v)/ulp) * ulp)
			}
		}
	})
}

// drawWeights draws every parameter anew, uniformly within its largest magnitude: an initialisation of the same size as the exported one.
func drawWeights(m *onnx.Model) (*onnx.Model, error) {
	random := rand.New(rand.NewPCG(1, 1))
	return changeWeights(m, func(w []float32) {
		bound := float32(0)
		for _, v := range w {
			bound = max(bound, v, -v)
		}
		for i := range w {
			w[i] = bound * (2*random.Float32() - 1)
		}
	})
}

// changeWeights changes every initializer that may be a parameter: floating-point and no scalar.
func changeWeights(m *onnx.Model, change func([]float32)) (*onnx.Model, error) {
	changed := map[string]*tensor.Tensor{}
	for _, init := range m.Graph.Initializers {
		if init.Tensor.DType() == tensor.Float32 && init.Tensor.Len() > 1 {
			changed[init.Name] = init.Tensor.Clone()
			change(tensor.View[float32](changed[init.Name]))
		}
	}
	return m.WithInitializers(changed)
}

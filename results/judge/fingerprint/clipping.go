package fingerprint

import (
	"fmt"
	"math"
	"strings"

	"tandem/results/judge/updateformula"
	"tandem/results/trace"
)

// clipping is what the reference's gradients are multiplied by before the update. They are whole in every trace.
func (l *Look) clipping() float64 {
	if l.Experiment.Optimizer.ClipNorm <= 0 {
		return 1
	}
	var norms []float64
	for name, g := range l.R.Float32 {
		if strings.HasPrefix(name, "gradients/") {
			norms = append(norms, trace.Norm(g.Values.Float64s()))
		}
	}
	return updateformula.ClipScale(l.Experiment.Optimizer, trace.Norm(norms))
}

func multiplied(x []float64, factor float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v * factor
	}
	return out
}

// Other ways to clip, by their names.

func unclipped(_ *Look, _ string, _, gradient []float64) []float64 { return gradient }

// clipEach limits each gradient's own norm.
func clipEach(l *Look, parameter string, _, gradient []float64) []float64 {
	whole := l.R.Float32["gradients/"+parameter].Values.Float64s()
	return multiplied(gradient, updateformula.ClipScale(l.Experiment.Optimizer, trace.Norm(whole)))
}

// clipValues limits each element.
func clipValues(l *Look, _ string, _, gradient []float64) []float64 {
	limit := l.Experiment.Optimizer.ClipNorm
	out := make([]float64, len(gradient))
	for i, v := range gradient {
		out[i] = min(max(v, -limit), limit)
	}
	return out
}

// clipAfterDecay limits the norm of the gradients with the weight decay in them; the rule then adds none.
func clipAfterDecay(l *Look, parameter string, w, gradient []float64) []float64 {
	var norms []float64
	for name, g := range l.R.Float32 {
		name, ok := strings.CutPrefix(name, "gradients/")
		if !ok {
			continue
		}
		t := l.stateTensor("parameters/" + name)
		if t == nil {
			return nil
		}
		norms = append(norms, trace.Norm(l.decayed(name, t.Float64s(), g.Values.Float64s())))
	}
	return multiplied(l.decayed(parameter, w, gradient), updateformula.ClipScale(l.Experiment.Optimizer, trace.Norm(norms)))
}

// decayed is a gradient with the L2 weight decay added.
func (l *Look) decayed(parameter string, w, gradient []float64) []float64 {
	o := l.Experiment.Optimizer
	if !updateformula.Decays(o, parameter) || len(w) != len(gradient) {
		return gradient
	}
	out := make([]float64, len(gradient))
	for i, v := range gradient {
		out[i] = v + o.WeightDecay*w[i]
	}
	return out
}

// findClipping looks for the update with gradients that are clipped in another way.
func findClipping(other clip, says string) func(l *Look) *Finding {
	return func(l *Look) *Finding {
		if !l.usable() || l.Experiment == nil || l.Experiment.Optimizer.ClipNorm <= 0 {
			return nil
		}
		residual, ok := l.ruled(recipe{rule: updateformula.Right(l.settings(0)), clip: other})
		if !ok {
			return nil
		}
		return &Finding{fmt.Sprintf("%s: the norm %g of all together is the limit, and each should be multiplied by %.6g", says, l.Experiment.Optimizer.ClipNorm, l.clipping()), residual}
	}
}

// findClippingDecay looks for gradients that were clipped with the weight decay in them, which only decay of that kind can be.
func findClippingDecay(l *Look) *Finding {
	if !l.usable() || l.Experiment == nil || updateformula.Decoupled(l.Experiment.Optimizer) || l.Experiment.Optimizer.WeightDecay == 0 || l.Experiment.Optimizer.ClipNorm <= 0 {
		return nil
	}
	o := l.settings(0)
	o.WeightDecay = 0
	residual, ok := l.ruled(recipe{rule: updateformula.Right(o), clip: clipAfterDecay})
	if !ok || math.IsNaN(residual) {
		return nil
	}
	return &Finding{fmt.Sprintf("the weight decay %g is added to the gradients before they are clipped to the norm %g, not after it", l.Experiment.Optimizer.WeightDecay, l.Experiment.Optimizer.ClipNorm), residual}
}

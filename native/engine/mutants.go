package engine

import (
	"tandem/native/ir"
	"tandem/native/train"
	"tandem/results/record"
)

// mutants are the mistakes that are known to be made, in the order of the stages. Each stands for something that was once published, found in
// a trainer, or follows from a difference between two definitions; see their hooks for what is what.
var mutants = []mutant{
	// data and initial weights
	{name: "weights-half-precision", stage: record.StageWeights, cause: "weights-half-precision", model: roundWeights},
	{name: "weights-not-exported", stage: record.StageWeights, cause: "other-weights", model: drawWeights},

	// forward pass
	{name: "relu-missing", stage: record.StageForward, cause: "identity", rewrite: removeLastRelu, applies: has("Relu")},
	{name: "gelu-tanh-for-erf", stage: record.StageForward, cause: "gelu-form", rewrite: approximateGelu, applies: hasExactGelu},
	{name: "weight-transposed-where-square", stage: record.StageForward, cause: "weight-used-transposed", rewrite: transposeSquareWeight, applies: hasSquareWeight},
	{name: "attention-scale", stage: record.StageForward, cause: "attention-scale", rewrite: misscaleAttention, applies: hasAttention},
	{name: "causal-mask-off-by-one", stage: record.StageForward, cause: "attention-mask", rewrite: shiftCausalMask, applies: hasCausalMask},
	{name: "layer-norm-eps", stage: record.StageForward, cause: "normalization-epsilon", rewrite: otherEpsilon, applies: has("LayerNormalization")},
	{name: "dropout-missing", stage: record.StageForward, cause: "dropout-off", rewrite: removeDropout, applies: drops},
	{name: "dropout-unscaled", stage: record.StageForward, cause: "dropout-unscaled", rewrite: unscaleDropout, applies: drops},
	{name: "dropout-mask-of-its-own", stage: record.StageForward, cause: "dropout-mask", options: func(o *train.Options) { o.Seed++ }, applies: drops},
	{name: "dropout-mask-reused", stage: record.StageForward, cause: "dropout-mask", rewrite: reuseMask, applies: all(drops, secondStep)},
	{name: "dropout-masks-of-the-first-part", stage: record.StageForward, cause: "dropout-mask", options: func(o *train.Options) { o.RepeatMasks = true }, applies: all(drops, accumulates)},
	{name: "layernorm-unbiased-variance", stage: record.StageForward, cause: "unbiased-variance", rewrite: unbiasedLayerNorm, applies: has("LayerNormalization")},
	{name: "batchnorm-eval-statistics", stage: record.StageForward, cause: "eval-statistics", rewrite: evalStatistics, applies: hasTrainingBatchNorm},
	{name: "convolution-padding-off-by-one", stage: record.StageForward, cause: "shifted", rewrite: shiftPadding, applies: has("Conv")},

	{name: "convolution-kernel-flipped", stage: record.StageForward, cause: "kernel-flipped", rewrite: flipKernels, applies: convolves},
	{name: "convolution-stride-offset", stage: record.StageForward, cause: "stride-offset", rewrite: offsetStrides, applies: strides},
	{name: "batchnorm-eps", stage: record.StageForward, cause: "normalization-epsilon", rewrite: otherBatchNormEpsilon, applies: has("BatchNormalization")},

	// what is made of the data: the digests of the data are right, so the first thing seen is another batch, by its digest or by its outputs
	{name: "augmentation-missing", stage: record.StageForward, batch: true, cause: "augmentation-differs", data: distorted(asItIs), applies: augments},
	{name: "flip-on-one-side", stage: record.StageForward, batch: true, cause: "augmentation-differs", data: distorted(unmirrored), applies: flips},
	{name: "flip-before-crop", stage: record.StageForward, batch: true, cause: "augmentation-differs", data: distorted(mirroredFirst), applies: flips},
	{name: "border-of-zeros", stage: record.StageForward, batch: true, cause: "augmentation-differs", data: zeroBorder, applies: all(augments, normalizes)},
	{name: "channels-reversed", stage: record.StageForward, batch: true, cause: "channel-order", data: reverseChannels, applies: hasColours},
	{name: "images-normalized-twice", stage: record.StageForward, batch: true, cause: "normalization-differs", native: normalizeTwice, applies: normalizesColours},
	{name: "last-short-batch-dropped", stage: record.StageForward, batch: true, cause: "short-batch-dropped", data: dropShortBatches, applies: shortBatches},
	{name: "batches-one-step-late", stage: record.StageForward, batch: true, cause: "other-batch", order: func(_ *Native, step int64) int64 { return max(step-1, 0) }, applies: secondStep},
	{name: "one-batch-repeated", stage: record.StageCurve, cause: "other-batch-once", order: repeatOneBatch, applies: secondStep},

	// loss
	{name: "labels-shifted", stage: record.StageLoss, batch: true, cause: "labels-shifted", data: shiftLabels, applies: ofClasses},
	{name: "loss-sum-for-mean", stage: record.StageLoss, cause: "loss-reduction", options: func(o *train.Options) { o.Loss.Reduction = "sum" }, applies: all(averages, severalRows)},
	{name: "softmax-applied-twice", stage: record.StageLoss, cause: "softmax-twice", rewrite: softmaxTwice, applies: plainCrossEntropy},

	{name: "class-weights-missing", stage: record.StageLoss, cause: "loss-settings", options: func(o *train.Options) { o.Loss.ClassWeights = nil }, applies: weighs},
	{name: "ignored-targets-counted", stage: record.StageLoss, cause: "loss-settings", options: func(o *train.Options) { o.Loss.IgnoreIndex = nil }, applies: ignores},
	{name: "label-smoothing-missing", stage: record.StageLoss, cause: "loss-settings", options: func(o *train.Options) { o.Loss.LabelSmoothing = 0 }, applies: smoothes},
	{name: "squared-error-for-huber", stage: record.StageLoss, cause: "loss-settings", options: func(o *train.Options) { o.Loss.Kind = "mse" }, applies: bends},
	{name: "huber-threshold-doubled", stage: record.StageLoss, cause: "loss-settings", options: doubleThreshold, applies: bends},
	{name: "positive-weights-missing", stage: record.StageLoss, cause: "loss-settings", options: func(o *train.Options) { o.Loss.PositiveWeights = nil }, applies: weighsPositive},

	// gradients
	{name: "gradient-divided-by-batch-twice", stage: record.StageBackward, cause: "batch-factor", gradients: divideByBatch, applies: severalRows},
	{name: "accumulation-not-averaged", stage: record.StageBackward, cause: "accumulation-factor", options: shares(func(_, _ int) float64 { return 1 }), applies: all(accumulates, notSummed)},
	{name: "accumulation-averaged-twice", stage: record.StageBackward, cause: "accumulation-factor", options: shares(func(_, parts int) float64 { return 1 / float64(parts*parts) }), applies: all(accumulates, notSummed)},
	{name: "zeroed-between-accumulated-batches", stage: record.StageBackward, options: shares(lastAlone), applies: accumulates},
	{name: "residual-gradient-dropped", stage: record.StageBackward, cause: "branch-gradient", rewrite: dropResiduals, applies: hasResidual},
	{name: "bias-gradient-missing", stage: record.StageBackward, cause: "gradient-missing", gradients: loseBiases, applies: hasBias},
	{name: "embedding-gradient-overwritten", stage: record.StageBackward, cause: "rows-overwritten", gradients: overwriteEmbedding, applies: hasEmbedding},
	{name: "gradients-not-zeroed", stage: record.StageCurve, cause: "carried-between-steps", options: neverZero, hides: carried, applies: secondStep},

	// optimizer
	{name: "learning-rate-doubled", stage: record.StageOptimizer, cause: "learning-rate", options: func(o *train.Options) { o.Optimizer.LearningRate *= 2 }},
	{name: "weight-decay-added", stage: record.StageOptimizer, cause: "other-weight-decay", options: func(o *train.Options) { o.Optimizer.WeightDecay += 0.01 }},
	{name: "decay-l2-for-decoupled", stage: record.StageOptimizer, cause: "weight-decay-kind", options: func(o *train.Options) { o.Optimizer.Kind = "adam" }, applies: all(trainsBy("adamw"), decays)},
	{name: "decay-decoupled-for-l2", stage: record.StageOptimizer, cause: "weight-decay-kind", options: func(o *train.Options) { o.Optimizer.Kind = "adamw" }, applies: all(trainsBy("adam"), decays)},
	{name: "clipping-missing", stage: record.StageOptimizer, cause: "clipping-missing", options: func(o *train.Options) { o.Optimizer.ClipNorm = 0 }, applies: clips},
	{name: "clipping-per-tensor", stage: record.StageOptimizer, cause: "clipping-per-tensor", updates: clipEach, applies: all(clips, severalParameters)},
	{name: "clipping-by-value", stage: record.StageOptimizer, cause: "clipping-by-value", updates: clipValues, applies: clipsElements},
	{name: "clipping-after-decay", stage: record.StageOptimizer, cause: "clipping-after-decay", updates: clipAfterDecay, applies: all(clips, decays, trainsBy("adam", "sgd"))},
	{name: "adam-eps-inside-root", stage: record.StageOptimizer, cause: "eps-inside-root", options: byMistake(epsInsideRoot), applies: all(adamLike, hasEps)},
	{name: "adam-onnx-formula", stage: record.StageOptimizer, cause: "onnx-adam", options: byMistake(epsBeforeCorrection), applies: all(adamLike, hasEps)},
	{name: "adam-no-bias-correction", stage: record.StageOptimizer, cause: "no-bias-correction", options: byMistake(noCorrection), applies: adamLike},
	{name: "adam-bias-correction-late", stage: record.StageOptimizer, cause: "bias-correction-off-by-one", options: byMistake(lateCorrection), applies: all(adamLike, secondStep)},
	{name: "rmsprop-eps-inside-root", stage: record.StageOptimizer, cause: "eps-inside-root", options: rmspropEpsInside, applies: all(trainsBy("rmsprop"), hasEps)},
	{name: "rmsprop-alpha", stage: record.StageOptimizer, cause: "other-alpha", options: otherAlpha, applies: trainsBy("rmsprop")},
	{name: "adagrad-rate-decay-missing", stage: record.StageOptimizer, cause: "rate-decay", options: func(o *train.Options) { o.Optimizer.LRDecay = 0 }, applies: all(trainsBy("adagrad"), ratesDecay, secondStep)},
	{name: "nadam-look-ahead-missing", stage: record.StageOptimizer, cause: "look-ahead-missing", options: plainAdam, applies: trainsBy("nadam")},
	{name: "lion-betas-exchanged", stage: record.StageOptimizer, cause: "other-betas", options: exchangeBetas, applies: all(trainsBy("lion"), secondStep)},
	{name: "momentum-dampened", stage: record.StageOptimizer, cause: "momentum-dampened", options: func(o *train.Options) { o.Optimizer.Dampening = o.Optimizer.Momentum }, applies: all(hasMomentum, secondStep)},
	{name: "nesterov-missing", stage: record.StageOptimizer, cause: "nesterov", options: func(o *train.Options) { o.Optimizer.Nesterov = false }, applies: isNesterov},
	{name: "schedule-one-step-late", stage: record.StageOptimizer, cause: "schedule-off-by-one", options: stepLate, applies: scheduled},
	{name: "decay-of-every-parameter", stage: record.StageOptimizer, cause: "weight-decay-groups", options: func(o *train.Options) { o.Optimizer.NoDecay = nil }, applies: all(decays, excepts)},
	{name: "decay-of-matrices-alone", stage: record.StageOptimizer, cause: "weight-decay-groups", native: decayMatricesAlone, applies: decaysVectors},
	{name: "optimizer-state-reset", stage: record.StageOptimizer, cause: "optimizer-state-reset", forgets: atEpochs, applies: all(remembers, secondEpoch)},
	{name: "optimizer-never-steps", stage: record.StageOptimizer, cause: "optimizer-never-steps", options: neverStep},

	// buffers
	{name: "batchnorm-momentum", stage: record.StageBuffers, cause: "buffer-momentum", rewrite: otherMomentum, applies: hasTrainingBatchNorm},
	{name: "batchnorm-variance-biased", stage: record.StageBuffers, cause: "variance-biased", rewrite: biasedVariance, applies: hasPyTorchBatchNorm},
}

// A tie in max-pooling given to the last element is not among them: equal elements come from equal patches of the image, such as its black
// border, or from ReLU's zeros. Of equal patches every layer before the pool makes equal values and, BatchNorm's statistics being sums over all of
// them, equal derivatives, so that a weight's gradient, a sum over the patches, is the same whichever of them gets it; and no gradient passes a zero of ReLU.

// shares has the parts of a step count by others than their right share.
func shares(share func(part, parts int) float64) func(*train.Options) {
	return func(o *train.Options) { o.PartShare = share }
}

// lastAlone is what remains where the gradients are set to zero before every batch and not before every step.
func lastAlone(part, parts int) float64 {
	if part < parts-1 {
		return 0
	}
	return 1 / float64(parts)
}

// atEpochs is the beginning of every epoch after the first: a new optimizer is made where the old one should go on.
func atEpochs(n *Native, step int64) bool { return step > 0 && step%int64(n.epoch) == 0 }

// repeatOneBatch trains one batch of the first epoch twice and leaves out the one after it; all others are right.
func repeatOneBatch(n *Native, step int64) int64 {
	if step == int64(repeated(n)) {
		return step - 1
	}
	return step
}

func repeated(n *Native) int { return max(min(n.epoch, n.data.batches())/2, 1) }

// everyGradient replaces the gradients of the parameters that are meant.
func everyGradient(g *ir.Graph, gradients map[*ir.Value]*ir.Value, change func(p, gradient *ir.Value) (*ir.Value, error)) error {
	for _, p := range g.State { // in the file's order: maps have none
		if gradients[p] == nil {
			continue
		}
		changed, err := change(p, gradients[p])
		if err != nil {
			return err
		}
		gradients[p] = changed
	}
	return nil
}

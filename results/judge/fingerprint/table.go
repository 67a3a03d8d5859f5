package fingerprint

import "tandem/results/record"

// Where a fingerprint is looked for.
var (
	data      = []record.Stage{record.StageData}
	weights   = []record.Stage{record.StageWeights}
	forward   = []record.Stage{record.StageForward}
	loss      = []record.Stage{record.StageLoss}
	backward  = []record.Stage{record.StageBackward}
	optimizer = []record.Stage{record.StageOptimizer}
	buffers   = []record.Stage{record.StageBuffers}
	curve     = []record.Stage{record.StageCurve}
	passes    = []record.Stage{record.StageForward, record.StageBackward}
	tensors   = []record.Stage{record.StageForward, record.StageBackward, record.StageBuffers}
	every     = []record.Stage{record.StageForward, record.StageLoss, record.StageBackward, record.StageOptimizer, record.StageBuffers}
)

// Table is all known fingerprints. Those of a stage are looked for in this order, which decides between equals.
var Table = []Fingerprint{
	{NotFinite, every, record.Exact, "NaN or an infinity where the reference is finite", findNotFinite, false},
	{CounterStill, optimizer, record.Exact, "the step counter after a step", findCounter, false},

	{LabelsShifted, append(data, loss...), record.Exact, "the loss of the candidate's own outputs with moved labels; the labels' digest", first(findLabelsShifted, findLabelsShiftedInBatch), false},
	{ShortBatchDropped, append(data, append(forward, loss...)...), record.Exact, "a full batch where the short one belongs; the offsets' digest", first(findShortBatchDropped, findShortBatchDroppedWhole), false},
	{BatchesPermuted, data, record.Exact, "the digest of the order without its shuffle", findPermuted, false},
	{Augmentation, data, record.Exact, "the digest of a batch with other crops and flips", findAugmentation, false},
	{ChannelOrder, data, record.Exact, "the digest of a batch with its channels in the opposite order", findChannelOrder, false},
	{NotNormalized, data, record.Exact, "the digest of a batch that was normalized twice, or back", findNotNormalized, false},
	{BatchDiffers, data, record.Possible, "another digest of the batch, of the same data", findBatchDiffers, true},
	{InputScaled, data, record.Exact, "the digest of inputs in another range", findInputScaled, false},

	{WeightsHalf, weights, record.Exact, "the digest of weights rounded to half precision", findWeightsHalf, false},
	{WeightsTransposed, weights, record.Exact, "the digest of transposed weights", findWeightsTransposed, false},
	{WeightsZero, weights, record.Exact, "weights that are zero", findWeightsZero, false},
	{OtherLayout, weights, record.Exact, "names, shapes and types", findOtherLayout, false},
	{OtherWeights, weights, record.Likely, "other numbers in the same layout", findOtherWeights, true},
	{StateNotTaken, weights, record.Likely, "initial states alike, given ones not", findStateNotTaken, false},

	{OtherBatch, append(data, append(forward, append(loss, backward...)...)...), record.Exact, "the loss of the candidate's own outputs with another batch's labels; the batch's digest", first(findOtherBatch, findOtherBatchWhole), false},
	{DropoutOff, forward, record.Exact, "a dropout's output equal to its input, the eval-mode value", first(findIdentity(true), findDropoutOffInside), false},
	{DropoutUnscaled, forward, record.Exact, "a dropout's output times 1-p", findDropoutUnscaled, false},
	{DropoutMask, forward, record.Exact, "other zeros, the same values beside them", findDropoutMask, false},
	{Identity, forward, record.Exact, "an operator's output equal to its input", findIdentity(false), false},
	{ProductOfOther, forward, record.Exact, "the product with the transposed weight", findWeightTransposed, false},
	{WeightsUsedHalf, forward, record.Exact, "the product with rounded weights", findWeightHalf, false},
	{GeluForm, forward, record.Exact, "GELU by tanh for the one by erf, or the reverse", findGelu, false},
	{NormalizedVar, forward, record.Likely, "a factor sqrt((n-1)/n); the normalization computed anew", first(findUnbiased, findNormalizedByOther), false},
	{Epsilon, forward, record.Exact, "the normalization computed anew with another epsilon", findEpsilon, false},
	{KernelFlipped, forward, record.Exact, "the convolution computed anew with kernels turned round", findConvolution(alteration{flipped: true}, "when its kernel is turned by half a turn: a convolution as mathematics defines it, where ONNX and PyTorch have the cross-correlation"), false},
	{StrideOffset, forward, record.Exact, "the convolution computed anew from another first position", findConvolution(alteration{offset: true}, "when its border is a pixel wider behind the image than before it, as TensorFlow's padding SAME makes it with a stride"), false},
	{AttentionScale, forward, record.Likely, "a factor that is the root of a dimension; attention computed anew with another scale", first(findAttentionScale, findScoreScale), false},
	{AttentionMask, forward, record.Exact, "attention computed anew with another triangle", findMask, false},

	{LossReduction, loss, record.Exact, "the loss times B or 1/B", findLossReduction, false},
	{NominalDivisor, loss, record.Exact, "a short batch's loss divided by the full batch", findNominalDivisor, false},
	{LossSettings, loss, record.Exact, "the loss of the candidate's own outputs with other settings", findLossSettings, false},
	{SoftmaxTwice, loss, record.Exact, "the loss of the candidate's own outputs with one more softmax", findSoftmaxTwice, false},

	{GradientMissing, backward, record.Exact, "a gradient of zeros", findGradientMissing, false},
	{Clipped, backward, record.Likely, "one factor on all gradients and a round norm", findClipped, false},
	{AccumulationFactor, backward, record.Exact, "gradients times the number of a step's parts, or divided by it", findAccumulationFactor, false},
	{BatchFactor, backward, record.Exact, "gradients times B or 1/B", findBatchFactor, false},
	{GradientAccumulated, append(backward, optimizer...), record.Exact, "the sum of two steps' gradients", findAccumulated, false},
	{DecayInGradient, backward, record.Exact, "a multiple of the weights in the difference", findDecayInGradient, false},
	{RowsOverwritten, backward, record.Likely, "wrong rows, all named more than once in the batch", findRowsOverwritten, false},

	{NeverSteps, optimizer, record.Exact, "the state as it was before", findRule(NeverSteps), false},
	{EpsilonInside, optimizer, record.Exact, "the update with epsilon inside the root", findRule(EpsilonInside), false},
	{ONNXAdam, optimizer, record.Exact, "the update of ONNX's Adam operator", findRule(ONNXAdam), false},
	{NoBiasCorrection, optimizer, record.Exact, "Adam's update without bias correction", findRule(NoBiasCorrection), false},
	{BiasCorrectionLate, optimizer, record.Exact, "Adam's update with another step's bias correction", findRule(BiasCorrectionLate), false},
	{DecayKind, optimizer, record.Exact, "the update with the other kind of weight decay", findRule(DecayKind), false},
	{StateReset, optimizer, record.Exact, "the update from moments that are zero", findRule(StateReset), false},
	{UpdateSign, optimizer, record.Exact, "the update uphill", findRule(UpdateSign), false},
	{Dampened, optimizer, record.Exact, "SGD's update with another dampening", findRule(Dampened), false},
	{NoMomentum, optimizer, record.Exact, "SGD's update without momentum", findRule(NoMomentum), false},
	{Nesterov, optimizer, record.Exact, "SGD's update with the other kind of momentum", findRule(Nesterov), false},
	{LookAhead, optimizer, record.Exact, "Adam's update in the place of NAdam's", findRule(LookAhead), false},
	{MomentumSchedule, optimizer, record.Exact, "NAdam's update with one momentum for all steps", findRule(MomentumSchedule), false},
	{Centering, optimizer, record.Exact, "RMSprop's update with the other kind of centering", findRule(Centering), false},
	{NewestMoment, optimizer, record.Exact, "Lion's update by the sign of the new moment", findRule(NewestMoment), false},
	{RateDecay, optimizer, record.Exact, "Adagrad's update with a learning rate that does not decay, or of another step", findRule(RateDecay), false},
	{ScheduleOffByOne, optimizer, record.Exact, "the update with the learning rate of the step before or after", findSchedule, false},
	{ClippingMissing, optimizer, record.Exact, "the update with gradients that are not clipped", findClipping(unclipped, "the gradients are not clipped, or after the optimizer read them"), false},
	{ClippingEach, optimizer, record.Exact, "the update with each gradient clipped by itself", findClipping(clipEach, "each gradient is clipped by its own norm"), false},
	{ClippingValues, optimizer, record.Exact, "the update with gradients clipped by element", findClipping(clipValues, "each element of the gradients is clipped"), false},
	{ClippingDecay, optimizer, record.Exact, "the update with gradients clipped with the weight decay in them", findClippingDecay, false},
	{DecayGroups, optimizer, record.Exact, "the update with weight decay on every parameter", findDecayGroups, false},
	{LearningRate, optimizer, record.Exact, "one factor on all changes, the moments right", findLearningRate, false},
	{OtherDecay, optimizer, record.Exact, "the update with a weight decay that is solved for", findOtherDecay, false},
	{OtherEpsilon, optimizer, record.Exact, "the update with another epsilon", findRule(OtherEpsilon), false},
	{OtherBetas, optimizer, record.Exact, "the update with other betas", findRule(OtherBetas), false},
	{OtherAlpha, optimizer, record.Exact, "RMSprop's update with another decay of the mean of squares", findRule(OtherAlpha), false},

	{BufferUnchanged, buffers, record.Exact, "statistics as they were before", findBufferUnchanged, false},
	{VarianceBiased, buffers, record.Exact, "the batch's variance times (n-1)/n", findVarianceBiased, false},
	{BufferMomentum, buffers, record.Exact, "one factor on the changes of statistics", findBufferMomentum, false},

	{CarriedBetweenStep, curve, record.Likely, "single steps right, the second one after a given state wrong", findCarried, false},
	{BatchesMisaligned, curve, record.Likely, "losses of other steps", findMisaligned, false},
	{OtherBatchOnce, curve, record.Possible, "one loss off, the next ones right", findOneBatch, false},

	{Sign, passes, record.Exact, "the tensor with the other sign", findSign, false},
	{Transposed, tensors, record.Exact, "the tensor transposed", findTransposed, false},
	{Shifted, tensors, record.Exact, "the tensor shifted by one along an axis", findShifted, false},
	{HalfPrecision, every, record.Exact, "no element with more than 11 significant bits", findHalf, false},
	{PreviousStep, tensors, record.Exact, "the reference's tensor of another judged step", findPreviousStep, false},
	{AllZero, []record.Stage{record.StageForward, record.StageBuffers}, record.Likely, "a tensor of zeros", findAllZero, true},
	{BranchGradient, backward, record.Likely, "gradients right after a value with several readers, off before it", findBranchGradient, true},
	{LastRows, forward, record.Possible, "only the last rows differ", findLastRows, true},
	{RowScaled, tensors, record.Likely, "a factor of its own for each row", findRowScaled, true},
	{Scaled, every, record.Exact, "one factor on the whole tensor", findScaled, true},
	{MissingTensor, every, record.Exact, "a tensor that is not there, or has another shape", findMissingTensor, true},
}

package fingerprint

import "tandem/results/judge/updateformula"

// The names of the causes, as they stand in records.
const (
	// Of any tensor.
	NotFinite     = "not-finite"
	Scaled        = "scaled"
	Sign          = "sign"
	Transposed    = "transposed"
	Shifted       = "shifted"
	HalfPrecision = "half-precision"
	AllZero       = "all-zero"
	LastRows      = "last-rows"
	RowScaled     = "row-scaled"
	PreviousStep  = "previous-step"
	MissingTensor = "missing-tensor"

	// Data and initial weights.
	Augmentation       = "augmentation-differs"
	ChannelOrder       = "channel-order"
	NotNormalized      = "normalization-differs"
	BatchDiffers       = "batch-differs"
	LabelsShifted      = "labels-shifted"
	BatchesPermuted    = "batches-permuted"
	ShortBatchDropped  = "short-batch-dropped"
	OtherBatch         = "other-batch"
	OtherWeights       = "other-weights"
	WeightsTransposed  = "weights-transposed"
	WeightsHalf        = "weights-half-precision"
	WeightsZero        = "weights-zero"
	StateNotTaken      = "state-not-taken"
	OtherLayout        = "other-layout"
	InputScaled        = "input-scaled"
	BatchesMisaligned  = "batches-misaligned"
	OtherBatchOnce     = "other-batch-once"
	CarriedBetweenStep = "carried-between-steps"

	// Forward pass.
	DropoutOff      = "dropout-off"
	DropoutUnscaled = "dropout-unscaled"
	DropoutMask     = "dropout-mask"
	Identity        = "identity"
	AttentionScale  = "attention-scale"
	AttentionMask   = "attention-mask"
	KernelFlipped   = "kernel-flipped"
	StrideOffset    = "stride-offset"
	Epsilon         = "normalization-epsilon"
	NormalizedVar   = "unbiased-variance"
	GeluForm        = "gelu-form"
	ProductOfOther  = "weight-used-transposed"
	WeightsUsedHalf = "weight-used-in-half-precision"

	// Loss.
	LossReduction  = "loss-reduction"
	SoftmaxTwice   = "softmax-twice"
	NominalDivisor = "nominal-batch-divisor"
	LossSettings   = "loss-settings"

	// Gradients.
	GradientMissing     = "gradient-missing"
	BranchGradient      = "branch-gradient"
	GradientAccumulated = "gradient-accumulated"
	BatchFactor         = "batch-factor"
	AccumulationFactor  = "accumulation-factor"
	DecayInGradient     = "weight-decay-in-gradient"
	Clipped             = "gradient-clipped"
	RowsOverwritten     = "rows-overwritten"

	// Optimizer.
	EpsilonInside      = updateformula.EpsilonInside
	ONNXAdam           = updateformula.ONNXAdam
	NoBiasCorrection   = updateformula.NoBiasCorrection
	BiasCorrectionLate = updateformula.BiasCorrectionLate
	OtherEpsilon       = updateformula.OtherEpsilon
	OtherBetas         = updateformula.OtherBetas
	DecayKind          = updateformula.DecayKind
	OtherDecay         = updateformula.OtherDecay
	StateReset         = updateformula.StateReset
	NeverSteps         = updateformula.NeverSteps
	UpdateSign         = updateformula.Ascends
	Dampened           = updateformula.Dampened
	NoMomentum         = updateformula.NoMomentum
	Nesterov           = updateformula.Nesterov
	OtherAlpha         = updateformula.OtherAlpha
	Centering          = updateformula.Centering
	LookAhead          = updateformula.LookAhead
	MomentumSchedule   = updateformula.MomentumSchedule
	RateDecay          = updateformula.RateDecay
	NewestMoment       = updateformula.NewestMoment
	LearningRate       = "learning-rate"
	ScheduleOffByOne   = "schedule-off-by-one"
	ClippingMissing    = "clipping-missing"
	ClippingEach       = "clipping-per-tensor"
	ClippingValues     = "clipping-by-value"
	ClippingDecay      = "clipping-after-decay"
	DecayGroups        = "weight-decay-groups"
	CounterStill       = "step-counter"

	// Buffers.
	BufferMomentum  = "buffer-momentum"
	BufferUnchanged = "buffer-unchanged"
	VarianceBiased  = "variance-biased"
)

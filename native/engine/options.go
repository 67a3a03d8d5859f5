package engine

import (
	"tandem/fixtures/experiment"
	"tandem/native/optim"
	"tandem/native/schedule"
	"tandem/native/train"
)

// TrainOptions are what an experiment says to the trainer.
func TrainOptions(e *experiment.Experiment) train.Options {
	o := e.Optimizer
	options := train.Options{
		Loss: lossConfig(e.Loss), Seed: e.Seed,
		Optimizer: optim.Config{
			Kind: o.Kind, LearningRate: o.LearningRate, Betas: o.Betas, Alpha: o.Alpha, Eps: o.Eps, WeightDecay: o.WeightDecay,
			Momentum: o.Momentum, Dampening: o.Dampening, Nesterov: o.Nesterov, Centered: o.Centered, LRDecay: o.LRDecay,
			InitialAccumulator: o.InitialAccumulator, MomentumDecay: o.MomentumDecay, DecoupledDecay: o.DecoupledDecay,
			NoDecay: o.NoDecay, ClipNorm: o.ClipNorm,
		},
		Schedule: schedule.Config{
			Kind: e.Schedule.Kind, WarmUp: int64(e.Schedule.WarmUp), Total: int64(e.Schedule.Total), Minimum: e.Schedule.Minimum,
			Gamma: e.Schedule.Gamma,
		},
	}
	for _, m := range e.Schedule.Milestones {
		options.Schedule.Milestones = append(options.Schedule.Milestones, int64(m))
	}
	return options
}

func lossConfig(l experiment.Loss) train.Loss {
	c := train.Loss{
		Kind: l.Kind, Reduction: l.Reduction, Output: l.Output, ClassWeights: l.ClassWeights, LabelSmoothing: l.LabelSmoothing, ClassDim: l.ClassDim,
		Delta: l.Delta, Beta: l.Beta, PositiveWeights: l.PositiveWeights, LogTarget: l.LogTarget,
	}
	if l.IgnoreIndex != nil {
		ignored := int64(*l.IgnoreIndex)
		c.IgnoreIndex = &ignored
	}
	return c
}

package compare

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"tandem/onnx/safetensors"
	"tandem/results/engine"
	"tandem/results/judge"
	"tandem/results/record"
	"tandem/results/trace"
)

// trainingParts is the number of means that a training's losses are kept as, at most.
const trainingParts = 100

// further trains both sides Options.Runs times more and judges whether they are equally good. Each training has a seed of its own, which
// decides the order of the data and the dropout masks, and starts from the initial weights nudged by one unit in the last place, on both sides
// by the same. The verdict of the whole is no better than theirs.
func (o *Options) further(ctx context.Context, r *record.Run, ref *trace.Reference, cand *trace.Candidate) (err error) {
	if o.Runs == 0 {
		return nil
	}
	if r.Parity.Verdict == record.Fail || len(cand.Losses) != len(ref.Losses) {
		r.Warnings = append(r.Warnings, "The further trainings were not made: the verdict is FAIL without them.")
		return nil
	}
	steps := len(ref.Losses)
	first := record.Training{
		Seed: o.Experiment.Seed, Reference: trained(ref.Losses), Candidate: trained(cand.Losses),
	}
	if a := r.Accuracy; a != nil {
		first.Reference.Accuracy, first.Candidate.Accuracy = accuracyOf(a.Reference), accuracyOf(a.Candidate)
	}
	all := []record.Training{first}
	clients := map[record.Role]*engine.Client{}
	defer func() {
		for _, c := range clients {
			err = errors.Join(err, c.Close())
		}
	}()
	all = append(all, o.Unfinished.trainings()...)
	for _, role := range []record.Role{record.Reference, record.Candidate} {
		if len(all) > o.Runs {
			break // an earlier session made them all
		}
		if clients[role], err = o.start(ctx, role, o.Threads); err != nil {
			delete(clients, role)
			return err
		}
	}
	for k := len(all) - 1; k < o.Runs; k++ {
		t, err := o.training(ctx, clients, uint64(k+1), steps, func(done int) {
			o.progress(fmt.Sprintf("further training %d of %d", k+1, o.Runs), k*2*steps+done, o.Runs*2*steps)
		})
		if err != nil {
			return fmt.Errorf("further training %d: %w", k+1, err)
		}
		all = append(all, *t)
		o.Unfinished.keepTraining(*t)
	}
	initial := 0.0
	if r.Accuracy != nil {
		initial = r.Accuracy.Initial
	}
	r.Runs = judge.Runs(all, r.Parity.Curve, initial, o.Experiment.Parity.Thresholds)
	judgeRuns(&r.Parity, r.Runs)
	return nil
}

// judgeRuns lets further trainings that are not equally good spoil a verdict.
func judgeRuns(p *record.Parity, runs *record.Runs) {
	switch {
	case runs.Verdict == record.Pass:
		p.Reasons = append(p.Reasons, runs.Reasons...)
		return
	case runs.Verdict == record.Fail:
		if p.Verdict = record.Fail; p.Stage == "" {
			p.Stage = record.StageCurve
		}
	case p.Verdict == record.Pass:
		p.Verdict, p.Reasons = record.Inconclusive, nil // the reasons for a PASS hold no more
	}
	p.Reasons = append(slices.Clone(runs.Reasons), p.Reasons...)
}

// training makes the k-th further training on both sides.
func (o *Options) training(ctx context.Context, clients map[record.Role]*engine.Client, k uint64, steps int, progress func(done int)) (*record.Training, error) {
	e := *o.Experiment
	e.Seed += k
	text, err := e.JSON()
	if err != nil {
		return nil, err
	}
	settings := o.Folder.WorkFile("further.json")
	if err := os.WriteFile(settings, text, 0o666); err != nil {
		return nil, err
	}
	data, err := o.Data.Reordered(e.Seed)
	if err != nil {
		return nil, err
	}
	out := &record.Training{Seed: e.Seed}
	start := o.Folder.WorkFile("further-start.safetensors")
	digests := map[record.Role]map[string]string{}
	done := 0
	for _, role := range []record.Role{record.Reference, record.Candidate} {
		c, side := clients[role], o.Reference
		if role == record.Candidate {
			side = o.Candidate
		}
		p := o.load(side, engine.RandomShared, "")
		p.Experiment, p.Data = settings, data
		loaded, err := c.Load(ctx, p)
		if err != nil {
			return nil, err
		}
		digests[role] = loaded.Data
		if role == record.Reference {
			if err := nudgedStart(ctx, c, start, o.Experiment.Seed, k); err != nil {
				return nil, err
			}
		}
		if _, err := c.SetState(ctx, start); err != nil {
			return nil, err
		}
		var losses []float64
		for len(losses) < steps {
			result, err := c.Step(ctx, min(64, steps-len(losses)))
			if err != nil {
				return nil, err
			}
			if len(result.Losses) == 0 {
				return nil, fmt.Errorf("engine %s: it answered no loss", c.Hello().Name)
			}
			for _, l := range result.Losses {
				losses = append(losses, float64(l))
			}
			done += len(result.Losses)
			progress(done)
		}
		trained := trained(losses)
		if trained.Accuracy, err = o.testAccuracy(ctx, c); err != nil {
			return nil, err
		}
		if role == record.Reference {
			out.Reference = trained
		} else {
			out.Candidate = trained
		}
	}
	if !maps.Equal(digests[record.Reference], digests[record.Candidate]) {
		return nil, errors.New("the two engines read other data from the same file")
	}
	return out, nil
}

// nudgedStart writes the k-th nudged initial state.
func nudgedStart(ctx context.Context, c *engine.Client, file string, seed, k uint64) error {
	if _, err := c.GetState(ctx, file); err != nil {
		return err
	}
	f, err := safetensors.ReadFile(file)
	if err != nil {
		return err
	}
	// Numbers that the nudges of the envelope do not use.
	return safetensors.WriteFile(file, trace.Nudge(f.Tensors, seed, 1000+k), nil)
}

// testAccuracy is nil for a model whose outputs are no classes' scores.
func (o *Options) testAccuracy(ctx context.Context, c *engine.Client) (*record.Float, error) {
	file := o.Folder.WorkFile("further-outputs.safetensors")
	if _, err := c.Forward(ctx, engine.ForwardParams{Split: "test", Mode: "eval", DType: "float32", File: file}); err != nil {
		return nil, err
	}
	f, err := safetensors.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if len(o.Data.TestTargets) == 0 {
		return nil, nil
	}
	a, err := accuracy(f.Tensors, o.labels())
	if err != nil {
		return nil, nil // said in the record's warnings already
	}
	return accuracyOf(a), nil
}

func accuracyOf(a float64) *record.Float {
	f := record.Float(a)
	return &f
}

// trained condenses the losses of a training.
func trained(losses []float64) record.TrainingSide {
	var out record.TrainingSide
	parts := min(trainingParts, len(losses))
	for i := range parts {
		out.Losses = append(out.Losses, record.Float(average(losses[i*len(losses)/parts:(i+1)*len(losses)/parts])))
	}
	out.LastTenth = record.Float(average(losses[len(losses)-max(len(losses)/10, 1):]))
	return out
}

func average(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

package compare

import (
	"cmp"
	"context"
	"errors"
	"time"

	"tandem/onnx"
	"tandem/results/engine"
	"tandem/results/environment"
	"tandem/results/judge"
	"tandem/results/record"
	"tandem/results/trace"
)

// experimentFile is the resolved experiment's name in a run's folder.
const experimentFile = "experiment.json"

// Run makes a comparison and returns its record, which is complete but for the command's own duration. The record is
// not written yet.
func Run(ctx context.Context, o Options) (*record.Run, error) {
	if err := o.Unfinished.prepare(&o); err != nil {
		return nil, err
	}
	if err := o.writeExperiment(); err != nil {
		return nil, err
	}
	if err := o.try(ctx); err != nil {
		return nil, err
	}
	r := o.record(cmp.Or(o.Command, "run"))
	ref, cand, trained, err := o.traces(ctx)
	if err != nil {
		return nil, err
	}
	if err := o.judge(ctx, r, ref, cand, trained); err != nil {
		return nil, err
	}
	if err := o.further(ctx, r, ref, cand); err != nil {
		return nil, err
	}
	if o.Timing {
		err = o.measure(ctx, r)
	} else {
		r.TimingAbsent = "speed was not asked for"
	}
	if err == nil && o.Profile {
		err = o.profile(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// traces collects both engines' traces, as far as an earlier session has not. The last one is the candidate's trained model, if there is one.
func (o *Options) traces(ctx context.Context) (ref *trace.Reference, cand *trace.Candidate, trained string, err error) {
	if ref = o.Unfinished.reference(); ref == nil {
		if ref, err = o.reference(ctx, nil); err != nil {
			return nil, nil, "", err
		}
		o.Unfinished.keepReference(ref)
	} else if cand, trained = o.Unfinished.candidate(); cand != nil {
		return ref, cand, trained, nil
	}
	steps := len(ref.Steps)
	if cand, trained, err = o.candidate(ctx, ref); err != nil {
		return nil, nil, "", err
	}
	if len(ref.Steps) > steps {
		o.Unfinished.keepReference(ref)
	}
	o.Unfinished.keepCandidate(cand, trained)
	return ref, cand, trained, nil
}

// start starts a fresh process of a side.
func (o *Options) start(ctx context.Context, role record.Role, threads int) (*engine.Client, error) {
	side := o.Reference
	if role == record.Candidate {
		side = o.Candidate
	}
	c, err := side.Start(ctx, threads)
	if err != nil {
		return nil, err
	}
	if err := o.Unfinished.engine(role, c.Hello()); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (o *Options) experimentPath() string { return o.Folder.File(experimentFile) }

// load is what an engine is told to train.
func (o *Options) load(s Side, random, mode string) engine.LoadParams {
	return engine.LoadParams{
		Experiment: o.experimentPath(), Model: o.ModelFile, Data: o.Data.File,
		Threads: o.Threads, Random: random, Mode: mode, Mutant: s.Mutant,
	}
}

// record begins the record of a command.
func (o *Options) record(command string) *record.Run {
	return &record.Run{
		Schema: record.Schema, Command: command, Started: time.Now().UTC(),
		Experiment: o.Experiment, Data: o.Data.Record, Model: o.Model, Environment: environment.Capture(),
	}
}

// reference collects the reference's trace from a fresh process. adjust, if not nil, changes what is collected.
func (o *Options) reference(ctx context.Context, adjust func(*trace.ReferenceOptions)) (ref *trace.Reference, err error) {
	o.progress("starting the reference", 0, 0)
	c, err := o.start(ctx, record.Reference, o.Threads)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := Requirements(c.Hello(), record.Reference, o.Model.DropoutSites); err != nil {
		return nil, err
	}
	options := o.referenceOptions(c.Hello().Name)
	if options.Frozen, err = o.frozen(); err != nil {
		return nil, err
	}
	if adjust != nil {
		adjust(&options)
	}
	return trace.CollectReference(ctx, c, options)
}

// frozen returns the names of the parameters that the model's file has not trained.
func (o *Options) frozen() ([]string, error) {
	m, err := onnx.Load(o.ModelFile)
	if err != nil {
		return nil, err
	}
	var names []string
	if m.Manifest != nil {
		for _, p := range m.Manifest.Parameters {
			if !p.RequiresGrad {
				names = append(names, p.Name)
			}
		}
	}
	return names, nil
}

// referenceOptions are the trace's options for a comparison's reference, which keeps every tensor of a model whole that is not large.
func (o *Options) referenceOptions(name string) trace.ReferenceOptions {
	return trace.ReferenceOptions{
		Load: o.load(o.Reference, engine.RandomShared, ""), Experiment: o.Experiment, Steps: o.Data.Record.Steps,
		JudgedSteps: o.Experiment.JudgedSteps(o.Data.Record.Steps),
		Sample:      trace.SampleLarge, Nudges: trace.DefaultNudges, Seed: o.Experiment.Seed, Activations: true, WorkDir: o.Folder.Work,
		Progress: o.namedProgress(name),
	}
}

// namedProgress tells a collector's progress with the engine's name before it.
func (o *Options) namedProgress(name string) trace.Progress {
	return func(done, total int, what string) { o.progress(name+": "+what, done, total) }
}

// candidate collects the candidate's trace from a fresh process, and its trained model where it can write one.
func (o *Options) candidate(ctx context.Context, ref *trace.Reference) (cand *trace.Candidate, trained string, err error) {
	c, err := o.start(ctx, record.Candidate, o.Threads)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	cand, err = trace.CollectCandidate(ctx, c, ref, trace.CandidateOptions{
		Load: o.load(o.Candidate, engine.RandomShared, ""), Activations: true, WorkDir: o.Folder.Work,
		Progress: o.namedProgress(c.Hello().Name),
	})
	if err != nil || len(cand.Losses) == 0 {
		return cand, "", err
	}
	if c.Hello().Save {
		trained = o.Folder.WorkFile("trained.onnx")
		switch {
		case o.Save:
			trained = o.Folder.File("trained.onnx")
		case o.Unfinished != nil:
			trained = o.Unfinished.path("trained.onnx")
		}
		if err := c.Save(ctx, trained); err != nil {
			return nil, "", err
		}
	}
	return cand, trained, o.departure(ctx, c, ref, cand, o.Folder.Work, o.namedProgress)
}

// departure judges the step at which the candidate's free run left the reference's, and the one before it, from the
// reference's own state: the candidate c is still there, the reference is started again. A recorded reference cannot be.
func (o *Options) departure(ctx context.Context, c *engine.Client, ref *trace.Reference, cand *trace.Candidate, dir string, progress func(name string) trace.Progress) (err error) {
	limits := o.Experiment.Parity.Thresholds
	at := judge.Departure(ref, cand, limits)
	if at < 0 || o.Reference.Start == nil {
		return nil
	}
	if p := judge.Judge(ref, cand, limits); p.Verdict == record.Fail && p.Stage != record.StageCurve {
		return nil // the cause is known already
	}
	r, err := o.start(ctx, record.Reference, o.Threads)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	options := o.referenceOptions(r.Hello().Name)
	options.WorkDir, options.Progress = dir, progress(r.Hello().Name)
	for step := max(at-1, 0); step <= at; step++ {
		if err := trace.AddReferenceStep(ctx, r, ref, step, options); err != nil {
			return err
		}
	}
	return trace.AddCandidateSteps(ctx, c, ref, cand, trace.CandidateOptions{
		Activations: true, WorkDir: dir, Progress: progress(c.Hello().Name),
	})
}

// judge fills in the record's part on correctness.
func (o *Options) judge(ctx context.Context, r *record.Run, ref *trace.Reference, cand *trace.Candidate, trained string) error {
	o.progress("judging", 0, 0)
	Describe(r, ref, cand)
	r.Parity = judge.Judge(ref, cand, o.Experiment.Parity.Thresholds)
	o.diagnose(r, ref, cand)
	if len(cand.Losses) > 0 {
		var err error
		o.progress("looking at the forward pass", 0, 0)
		if r.Forward, err = looks(ctx, o, ref, cand, trained); err != nil {
			return err
		}
		judgeLooks(&r.Parity, r.Forward)
		if err = o.quality(r, ref, cand); err != nil {
			r.Warnings = append(r.Warnings, "neither accuracy nor perplexity is given: "+err.Error())
		}
	}
	if o.Prove {
		if err := o.prove(ctx, &r.Parity, ref, cand.Engine.Mutants); err != nil {
			return err
		}
	}
	if o.Save && trained != "" {
		r.Model.TrainedFile = "trained.onnx"
	}
	if !o.Traces {
		return nil
	}
	if err := trace.WriteReference(o.Folder.File("traces/reference"), ref); err != nil {
		return err
	}
	return trace.WriteCandidate(o.Folder.File("traces/candidate"), cand)
}

// Describe fills in what two traces say of engines, model and losses.
func Describe(r *record.Run, ref *trace.Reference, cand *trace.Candidate) {
	r.Engines = []record.Engine{describe(record.Reference, &ref.Common), describe(record.Candidate, &cand.Common)}
	r.Model.Tensors = ref.Loaded.Parameters
	r.Model.DropoutSites = ref.Loaded.Sites
	r.Model.Parameters = 0
	for _, t := range ref.Loaded.Parameters {
		n := 1
		for _, s := range t.Shape {
			n *= s
		}
		r.Model.Parameters += n
	}
	r.Data.SHA256 = ref.Loaded.Data
	r.Loss = record.Losses{Reference: floats(ref.Losses), Candidate: floats(cand.Losses), Envelope: floats(judge.Envelope(ref))}
}

func describe(role record.Role, c *trace.Common) record.Engine {
	return record.Engine{
		Role: role, Name: c.Engine.Name, Version: c.Engine.Version, Versions: c.Engine.Versions, Device: c.Engine.Device,
		Threads: c.Loaded.Threads, Mode: c.Loaded.Mode, Modes: c.Engine.Modes, Mutant: c.Mutant,
	}
}

func floats(x []float64) []record.Float {
	out := make([]record.Float, len(x))
	for i, v := range x {
		out[i] = record.Float(v)
	}
	return out
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tandem/fixtures/dataset"
	"tandem/fixtures/experiment"
	"tandem/native/pass"
	"tandem/onnx"
	"tandem/onnx/tensor"
	"tandem/pytorch"
	"tandem/results/compare"
	"tandem/results/record"
)

// modelFile is the exported model's name in a run's folder.
const modelFile = "model.onnx"

// samplesFile is the working file with what a data source's callable returned.
const samplesFile = "samples.safetensors"

// prepareData loads the experiment's data and writes it, with the batch order, for the engines.
func prepareData(ctx context.Context, o *compare.Options, p *progress) error {
	p.phase("loading the data", 0, 0)
	d, err := dataset.Load(ctx, o.Experiment, dataset.Options{
		Progress: func(file string, done, total int64) {
			p.phase("downloading "+file, int(done), int(max(total, 0)))
		},
		Call: func(ctx context.Context, e *experiment.Experiment) (string, error) { return callSource(ctx, o, e, p) },
	})
	_ = os.Remove(o.Folder.WorkFile(samplesFile)) // where there is one, it was read
	var samples *pytorch.AnswerError
	if errors.As(err, &samples) {
		return err // it knows whose fault it is
	}
	if err != nil {
		return inputError{err}
	}
	if d.Instead != "" {
		p.notice("Note: " + d.Instead + ".\nIn its place: " + d.Description + ".")
		o.Experiment.Data.Source, o.Experiment.Data.Substitute, o.Experiment.Data.Dir = d.Source, "", ""
	}
	if err := wholeBatches(o.Experiment, d); err != nil {
		return err
	}
	batches, err := d.Draw(o.Experiment)
	if err != nil {
		return inputError{err}
	}
	if err := o.Experiment.Resolve(d.TrainRows()); err != nil {
		return inputError{err}
	}
	reordered := func(seed uint64) (string, error) {
		e := *o.Experiment
		e.Seed = seed
		batches, err := d.Draw(&e)
		if err != nil {
			return "", err
		}
		file := o.Folder.WorkFile("reordered.safetensors")
		_, err = dataset.WriteFile(file, d, batches)
		return file, err
	}
	file := o.Folder.WorkFile("data.safetensors")
	digests, err := dataset.WriteFile(file, d, batches)
	if err != nil {
		return err
	}
	o.Data = compare.Data{
		File: file,
		Record: record.Data{
			Source: d.Source, Description: d.Description, License: d.License,
			TrainRows: d.TrainRows(), TestRows: d.TestRows(), Steps: len(batches.Offsets) - 1, SHA256: digests,
		},
		Reordered: reordered,
	}
	_, o.Data.Test = d.Inputs()
	switch t := d.TestTarget; {
	case t == nil:
	case t.DType() == tensor.Int64:
		o.Data.TestTargets = tensor.View[int64](t)
		if shape := t.Shape(); len(shape) > 1 {
			o.Data.Positions = t.Len() / shape[0]
		}
	default:
		o.Data.TestNumbers = t.Float64s()
	}
	return nil
}

// wholeBatches refuses rows that leave a short batch to a model that takes batches of one size alone.
func wholeBatches(e *experiment.Experiment, d *dataset.Dataset) error {
	if !e.Model.Static {
		return nil
	}
	batch := e.Train.Batch
	for _, s := range []struct {
		split string
		rows  int
	}{{"train", d.TrainRows()}, {"test", d.TestRows()}} {
		switch rest := s.rows % batch; {
		case rest == 0:
		case s.rows < batch:
			return inputError{fmt.Errorf("model.static: the model takes batches of train.batch = %d rows alone, and the %s rows are only %d: choose a smaller train.batch", batch, s.split, s.rows)}
		default:
			return inputError{fmt.Errorf("model.static: the model takes batches of train.batch = %d rows alone, and %d %s rows leave a batch of %d: set data.%s = %d", batch, s.rows, s.split, rest, s.split, s.rows-rest)}
		}
	}
	return nil
}

// callSource has the Python side call the data source of an experiment, and returns the file with what it gave.
func callSource(ctx context.Context, o *compare.Options, e *experiment.Experiment, p *progress) (string, error) {
	env, err := pytorch.Locate()
	if err != nil {
		return "", err
	}
	p.phase("calling "+e.Data.Source, 0, 0)
	text, err := e.JSON()
	if err != nil {
		return "", err
	}
	settings := o.Folder.WorkFile("samples.json")
	if err := os.WriteFile(settings, text, 0o666); err != nil {
		return "", err
	}
	file := o.Folder.WorkFile(samplesFile)
	return file, env.Samples(ctx, settings, file, p.line)
}

// exportModel has PyTorch write the model with its initial weights, or examine the one that is given as an ONNX file.
func exportModel(ctx context.Context, o *compare.Options, env *pytorch.Environment, p *progress) error {
	if o.Experiment.Model.IsFile() {
		p.phase("examining the model's file", 0, 0)
	} else {
		p.phase("exporting the model from PyTorch", 0, 0)
	}
	given, err := givenModel(o)
	if err != nil {
		return err
	}
	text, err := given.JSON()
	if err != nil {
		return err
	}
	settings := o.Folder.WorkFile("export.json")
	if err := os.WriteFile(settings, text, 0o666); err != nil {
		return err
	}
	o.ModelFile = o.Folder.File(modelFile)
	result, err := env.Export(ctx, settings, o.Data.File, o.ModelFile, p.line)
	if err != nil {
		return err
	}
	m, err := onnx.Load(o.ModelFile)
	if err != nil {
		return err
	}
	o.Model = describeModel(m, result.SHA256)
	return nil
}

// givenModel returns the experiment as the exporter gets it. Where the model is an ONNX file, that is a copy of the file with a manifest and an
// open batch: the one graph that both sides train.
func givenModel(o *compare.Options) (*experiment.Experiment, error) {
	if !o.Experiment.Model.IsFile() {
		return o.Experiment, nil
	}
	m, err := trainableFile(o.Experiment.ModelFile())
	if err != nil {
		return nil, err
	}
	if err := freeze(m.Manifest, o.Experiment.Model.Frozen); err != nil {
		return nil, inputError{fmt.Errorf("%s: %w", o.Experiment.ModelFile(), err)}
	}
	if m, err = m.WithManifest(m.Manifest); err != nil {
		return nil, inputError{err}
	}
	e := *o.Experiment
	if e.Model.Source, err = filepath.Abs(o.Folder.WorkFile("given.onnx")); err != nil {
		return nil, err
	}
	return &e, m.Save(e.Model.Source)
}

// freeze has the parameters of a file not trained whose names fit a pattern of model.frozen. Of a PyTorch model its source does the same
// (tandem_pytorch/models/source.py).
func freeze(m *onnx.Manifest, patterns []string) error {
	var names []string
	for _, p := range m.Parameters {
		names = append(names, p.Name)
	}
	for _, pattern := range patterns {
		found := false
		for i, name := range names {
			if experiment.Fits(name, pattern) {
				found, m.Parameters[i].RequiresGrad = true, false
			}
		}
		if !found {
			return fmt.Errorf("no parameter's name fits the pattern %q of model.frozen; the parameters are %s", pattern, strings.Join(names, ", "))
		}
	}
	if len(patterns) > 0 && !slices.ContainsFunc(m.Parameters, func(p onnx.Parameter) bool { return p.RequiresGrad }) {
		return fmt.Errorf("model.frozen, %s, leaves no parameter to train; the parameters are %s", strings.Join(patterns, ", "), strings.Join(names, ", "))
	}
	return nil
}

// trainableFile reads an ONNX file from any exporter, with an open batch and a manifest.
func trainableFile(path string) (*onnx.Model, error) {
	given, err := onnx.Load(path)
	if err != nil {
		return nil, inputError{err}
	}
	m, err := given.WithOpenBatch("batch")
	if err != nil {
		return nil, inputError{err}
	}
	manifest := m.Manifest
	if manifest == nil {
		manifest, err = pass.Describe(m)
	}
	if err != nil {
		if _, alone := pass.Import(given, map[string]int{"batch": 2}); alone == nil {
			err = fmt.Errorf("the graph fixes its batch size; export it with a dynamic batch (dynamic_shapes of torch.onnx.export, dynamic_axes of the older one): %w", err)
		}
		return nil, inputError{err}
	}
	if m.Manifest == nil {
		if m, err = m.WithManifest(manifest); err != nil {
			return nil, inputError{err}
		}
	}
	trained := slices.Clone(manifest.Buffers)
	for _, p := range manifest.Parameters {
		trained = append(trained, p.Name)
	}
	if m, err = m.WithFloat32(trained); err != nil {
		return nil, inputError{err}
	}
	return m, nil
}

// describeModel says of a model what the record holds before it was trained.
func describeModel(m *onnx.Model, digest string) record.Model {
	r := record.Model{File: modelFile, SHA256: digest, Opset: int(m.Opset[""])}
	for _, n := range m.Graph.Nodes {
		if n.OpType == "Dropout" || n.OpType == "Bernoulli" {
			r.DropoutSites++
		}
	}
	if e := m.Manifest; e != nil {
		r.DropoutSites = len(e.Dropout) // of a file from elsewhere not each such node draws
		r.Exporter = fmt.Sprintf("%s %s with torch %s, onnxscript %s", e.Exporter.Name, e.Exporter.Tandem, e.Exporter.Torch, e.Exporter.ONNXScript)
		if e.Exporter.Tandem == "" { // described by pass.Describe
			r.Exporter = orUnknown(strings.TrimSpace(m.Producer+" "+m.ProducerVersion)) + ", given as a file"
		}
		r.ExporterChecks = e.Checks
	}
	return r
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"tandem/fixtures/dataset"
	"tandem/fixtures/experiment"
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
	var samples *pytorch.SamplesError
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

// exportModel has PyTorch write the model with its initial weights.
func exportModel(ctx context.Context, o *compare.Options, env *pytorch.Environment, p *progress) error {
	p.phase("exporting the model from PyTorch", 0, 0)
	text, err := o.Experiment.JSON()
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

// describeModel says of a model what the record holds before it was trained.
func describeModel(m *onnx.Model, digest string) record.Model {
	r := record.Model{File: modelFile, SHA256: digest, Opset: int(m.Opset[""])}
	for _, n := range m.Graph.Nodes {
		if n.OpType == "Dropout" || n.OpType == "Bernoulli" {
			r.DropoutSites++
		}
	}
	if e := m.Manifest; e != nil {
		r.Exporter = fmt.Sprintf("%s %s with torch %s, onnxscript %s", e.Exporter.Name, e.Exporter.Tandem, e.Exporter.Torch, e.Exporter.ONNXScript)
		r.ExporterChecks = e.Checks
	}
	return r
}

package compare

import (
	"tandem/onnx"
	"tandem/results/evidence"
	"tandem/results/judge"
	"tandem/results/judge/fingerprint"
	"tandem/results/record"
	"tandem/results/trace"
)

// diagnose says of a FAIL where it comes from. A diagnosis is a help and no part of the verdict: what cannot be read is left out, and
// the record says so.
func (o *Options) diagnose(r *record.Run, ref *trace.Reference, cand *trace.Candidate) {
	if r.Parity.Verdict != record.Fail {
		return
	}
	m, warnings := o.material()
	r.Warnings = append(r.Warnings, warnings...)
	limits := o.Experiment.Parity.Thresholds
	d := judge.Diagnose(ref, cand, limits, &r.Parity, m)
	r.Parity.Diagnosis = d
	ok, err := evidence.Write(o.Folder.File(EvidenceFolder), evidence.Source{Reference: ref, Candidate: cand, Limits: limits, Diagnosis: d, Material: m})
	switch {
	case err != nil:
		r.Warnings = append(r.Warnings, "There is no evidence beside the diagnosis: "+err.Error()+".")
	case ok:
		d.Evidence = EvidenceFolder
	}
}

// EvidenceFolder is where a FAIL's evidence lies in a run's folder.
const EvidenceFolder = "evidence"

// material reads what a diagnosis looks at beside the traces.
func (o *Options) material() (m fingerprint.Material, warnings []string) {
	var err error
	if m.Model, err = onnx.Load(o.ModelFile); err != nil {
		warnings = append(warnings, "The diagnosis names no operator: "+err.Error()+".")
	}
	if m.Data, err = fingerprint.ReadData(o.Data.File); err != nil {
		warnings = append(warnings, "The diagnosis did not look at the data: "+err.Error()+".")
	}
	return m, warnings
}

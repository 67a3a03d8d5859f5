package record

// Diagnosis says where a FAIL comes from and what it probably is. It is found after the verdict, from the same two traces, and
// changes nothing about it.
type Diagnosis struct {
	// Stage is the verdict's: the first one that failed.
	Stage Stage `json:"stage"`
	// Step is the step that was looked at: the first judged one that shows the failure, or of a curve the step at which it leaves; -1
	// where the failure belongs to no step (data, initial weights).
	Step int `json:"step"`
	// FailingSteps are all judged steps that show it.
	FailingSteps []int `json:"failing_steps,omitempty"`
	// Tensor is the first tensor in the order of computation that left the noise, named as in the traces, such as
	// "gradients/fc1.weight"; its Error, Rho and Float64Gap are those of the judged step.
	Tensor     string `json:"tensor,omitempty"`
	Error      *Float `json:"error,omitempty"`
	Rho        *Float `json:"rho,omitempty"`
	Float64Gap *Float `json:"float64_gap,omitempty"`
	// Operator is where that tensor comes from; absent where no operator is to blame or the model is not known.
	Operator *Operator `json:"operator,omitempty"`
	// Causes are the known mistakes whose fingerprint the tensors bear, the surest first.
	Causes []Cause `json:"causes,omitempty"`
	// Summary says all this in one or two sentences, and what could not be found.
	Summary string `json:"summary"`
	// Evidence is the folder with what is needed to see the failure without tandem, relative to the run's; absent where there is nothing to replay.
	Evidence string `json:"evidence,omitempty"`
}

// Operator is a node of the ONNX graph and where in the user's program it comes from.
type Operator struct {
	Node   string `json:"node"`             // its name in the ONNX graph
	Op     string `json:"op"`               // the operator's type, such as "Gemm"
	Module string `json:"module,omitempty"` // the PyTorch module's path; empty for the outermost one
	Source string `json:"source,omitempty"` // the line of the user's program
	// Among names further nodes that may be to blame as well: nothing between them and this one was compared.
	Among []string `json:"among,omitempty"`
}

// Cause is a known mistake that explains the difference.
type Cause struct {
	Name string `json:"name"` // in the table of package results/judge/fingerprint
	// Certainty: see [Certainty].
	Certainty Certainty `json:"certainty"`
	// Text says what was seen, with numbers.
	Text string `json:"text"`
	// Residual is what the explanation leaves unexplained, relative to the tensor: rounding, if it is right. Absent where the
	// fingerprint is no number.
	Residual *Float `json:"residual,omitempty"`
	// Steps are the judged steps that bear the fingerprint.
	Steps []int `json:"steps,omitempty"`
}

// Certainty is how much a fingerprint proves.
type Certainty string

// The degrees.
const (
	// Exact: the mistake, computed, gives the candidate's tensor to rounding; nothing else that is likely does.
	Exact Certainty = "exact"
	// Likely: it fits, and so would some related mistakes.
	Likely Certainty = "likely"
	// Possible: the symptom is one that the mistake has.
	Possible Certainty = "possible"
)

package record

// Runs are further trainings of both sides from other seeds, and what all trainings together say: are the two equally good after the
// horizon, where a step by step comparison means nothing?
type Runs struct {
	Verdict Verdict  `json:"verdict"`
	Reasons []string `json:"reasons"` // sentences with numbers
	// Trainings has the comparison's own first.
	Trainings []Training `json:"trainings"`
	// Loss compares the mean training losses of the last tenth of the steps.
	Loss Equivalence `json:"loss"`
	// Accuracy compares the accuracies on the test rows.
	Accuracy *Equivalence `json:"accuracy,omitempty"`
}

// Training is one training of both sides, from the same weights, in the same order, with the same dropout masks.
type Training struct {
	Seed      uint64       `json:"seed"` // of order and masks
	Reference TrainingSide `json:"reference"`
	Candidate TrainingSide `json:"candidate"`
}

// TrainingSide is what one engine made of a training.
type TrainingSide struct {
	// Losses has the mean loss of each of up to 100 equal parts: of K, part i are the steps i*S/K up to (i+1)*S/K of S.
	Losses    []Float `json:"losses"`
	LastTenth Float   `json:"last_tenth"`         // mean loss of the last tenth of the steps
	Accuracy  *Float  `json:"accuracy,omitempty"` // on the test rows, after training
}

// Equivalence is the paired comparison of one number, candidate less reference, over the trainings.
type Equivalence struct {
	Verdict Verdict `json:"verdict"`
	N       int     `json:"n"`      // pairs
	Margin  Float   `json:"margin"` // a mean difference within it counts as none
	Mean    Float   `json:"mean"`   // of the differences
	// Deviation is the differences' standard deviation.
	Deviation Float `json:"deviation"`
	Low       Float `json:"low"` // of the 90 % confidence interval of the mean
	High      Float `json:"high"`
	// Needed estimates the number of trainings that would decide, when the verdict is INCONCLUSIVE and such a number exists.
	Needed int `json:"needed,omitempty"`
}

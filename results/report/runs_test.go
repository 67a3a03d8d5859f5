package report_test

import (
	"math"
	"strings"
	"testing"

	"tandem/results/record"
	"tandem/results/record/recordtest"
	"tandem/results/report"
)

// severally is a run with three trainings on each side.
func severally() *record.Run {
	r := recordtest.Faster()
	accuracy := func(x float64) *record.Float { f := record.Float(x); return &f }
	var trainings []record.Training
	for k := range 3 {
		training := record.Training{Seed: uint64(k)}
		for i := range 50 {
			x := 0.3 + 2*math.Exp(-float64(i)/12) + 0.02*math.Sin(float64(i*(k+1)))
			training.Reference.Losses = append(training.Reference.Losses, record.Float(x))
			training.Candidate.Losses = append(training.Candidate.Losses, record.Float(x+0.001*float64(k)))
		}
		training.Reference.LastTenth, training.Candidate.LastTenth = 0.31, record.Float(0.31+0.001*float64(k))
		training.Reference.Accuracy, training.Candidate.Accuracy = accuracy(0.81), accuracy(0.815)
		trainings = append(trainings, training)
	}
	r.Runs = &record.Runs{
		Verdict: record.Inconclusive, Reasons: []string{"Runs: 3 trainings are too few."}, Trainings: trainings,
		Loss:     record.Equivalence{Verdict: record.Pass, N: 3, Margin: 0.01, Mean: 0.001, Deviation: 0.001, Low: -0.0007, High: 0.0027},
		Accuracy: &record.Equivalence{Verdict: record.Inconclusive, N: 3, Margin: 0.007, Mean: 0.005, Low: -0.01, High: 0.02, Deviation: 0.009, Needed: 9},
	}
	return r
}

func TestSeveralTrainings(t *testing.T) {
	r := severally()
	words := terminal(t, r, report.Options{})
	for _, want := range []string{
		"Trainings: 3 on each side, with other orders and masks",
		"mean loss, last tenth PASS +0.001 -0.0007 to +0.0027 ±0.01",
		"test accuracy INCONCLUSIVE +0.5 points -1.00 points to +2.00 points ±0.7 points",
	} {
		if !strings.Contains(strings.Join(strings.Fields(words), " "), want) {
			t.Errorf("the terminal lacks %q:\n%s", want, words)
		}
	}
	files := markdown(t, r)
	text := string(files["report.md"])
	for _, want := range []string{
		"## Several trainings", "both engines trained 3 times", "(runs.svg)", "Runs: 3 trainings are too few.",
		"| test accuracy | INCONCLUSIVE | +0.5 points | -1.00 points to +2.00 points | ±0.7 points |", "| 2 | 0.3100 | 0.3120 | 81.0 % | 81.5 % |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text[strings.Index(text, "## Several"):])
		}
	}
	chart := wellFormed(t, "runs.svg", files["runs.svg"])
	for _, want := range []string{"3 trainings of each engine", "pytorch, mean", "native, all trainings", "horizon, step"} {
		if !strings.Contains(chart, want) {
			t.Errorf("the chart lacks %q", want)
		}
	}
	// Losses that are no numbers, or too few, end the curves and nothing else.
	r.Runs.Trainings[1].Candidate.Losses[20] = record.Float(math.NaN())
	r.Runs.Trainings[2].Reference.Losses = r.Runs.Trainings[2].Reference.Losses[:7]
	r.Runs.Trainings[2].Reference.Accuracy = nil
	wellFormed(t, "runs.svg", markdown(t, r)["runs.svg"])
	r.Runs.Trainings = r.Runs.Trainings[:1]
	if markdown(t, r)["runs.svg"] != nil {
		t.Error("one training is drawn as several")
	}
}

package report

import (
	"fmt"
	"io"

	"tandem/results/record"
)

// Table writes runs as one Markdown table, a row for each, whose name links to the entry's source where it has one. What each run claims stands
// in its own report: no time stands in a row without a PASS. Sweeps are passed over.
func Table(w io.Writer, entries ...Entry) error {
	d := &document{}
	var rows [][]string
	for _, e := range entries {
		if e.Run == nil {
			continue
		}
		rows = append(rows, tableOf(e.Run, e.Source))
	}
	d.table([]string{"experiment", "training", ">threads", "verdict", ">largest rho", "after training", ">step", ">speed-up [95 %]", ">resolution"}, rows)
	if len(rows) > 0 {
		d.para("Of two values the first is the reference's, the second the candidate's.")
	}
	_, err := io.WriteString(w, d.b.String())
	return err
}

func tableOf(r *record.Run, source string) []string {
	name, training := "experiment", count(r.Data.TrainRows)+" rows"
	if r.Experiment != nil {
		name = escape(r.Experiment.Name)
		training += ", " + plural(r.Experiment.Train.Epochs, "epoch")
	}
	training += ", " + plural(r.Data.Steps, "step")
	if r.Runs != nil {
		training += fmt.Sprintf(", %d times", len(r.Runs.Trainings))
	}
	if source != "" {
		name = fmt.Sprintf("[%s](%s)", name, source)
	}
	threads, largest, quality := "-", "-", "-"
	if len(r.Engines) > 1 {
		threads = count(r.Engines[1].Threads)
	}
	if worst, _ := worstOf(&r.Parity, "outputs", "gradients", "update", "buffers"); worst != nil {
		largest = rho(worst.Rho)
	}
	switch {
	case r.Accuracy != nil:
		quality = fmt.Sprintf("accuracy %s, %s", percent(r.Accuracy.Reference), percent(r.Accuracy.Candidate))
	case r.Perplexity != nil:
		quality = fmt.Sprintf("perplexity %s, %s", ratio(float64(r.Perplexity.Reference)), ratio(float64(r.Perplexity.Candidate)))
	case r.TestLoss != nil:
		quality = fmt.Sprintf("test loss %s, %s", loss(r.TestLoss.Reference), loss(r.TestLoss.Candidate))
	}
	row := []string{name, training, threads, string(r.Parity.Verdict), largest, quality, "-", "-", "-"}
	if t := r.Timing; t != nil && r.Parity.Verdict == record.Pass {
		row[6] = seconds(t.Reference.StepSeconds.Median) + ", " + seconds(t.Candidate.StepSeconds.Median)
		row[7] = "not claimed"
		if s := t.Speedup; s != nil {
			row[7] = fmt.Sprintf("%s [%s, %s]", ratio(s.Median), ratio(s.Low), ratio(s.High))
		}
		row[8] = fmt.Sprintf("[%s, %s]", ratio(t.Resolution.Low), ratio(t.Resolution.High))
	}
	return row
}

package recordtest

import (
	"strconv"
	"time"

	"tandem/results/record"
)

// Sweep is one over batch and threads, in which the candidate's lead shrinks with the batch; its last point is a FAIL.
func Sweep() *record.Sweep {
	s := &record.Sweep{
		Schema: record.SweepSchema, Command: "bench", Started: time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC), Seconds: 171.3,
		Axes: []record.SweepAxis{
			{Name: "batch", Key: "train.batch", Values: []string{"32", "256", "1024"}},
			{Name: "threads", Key: "threads", Values: []string{"1", "2"}},
		},
	}
	for i, batch := range []int{32, 256, 1024} {
		for _, threads := range []int{1, 2} {
			r := Faster()
			if s.Experiment == nil {
				s.Experiment, s.Data, s.Engines, s.Environment = r.Experiment, r.Data, r.Engines, r.Environment
				s.Environment.CommandLine = []string{"tandem", "bench", "mnist-mlp", "--sweep", "batch=32,256,1024,threads=1,2"}
			}
			last := i == 2 && threads == 2
			if last {
				r = Failed()
			}
			grow := []float64{1, 2.8, 9.5}[i] / float64(threads)
			stretch(r, (0.5+0.5*float64(threads))*grow, []float64{1, 1.6, 1.9}[i]*grow, threads)
			p := record.Point([]string{strconv.Itoa(batch), strconv.Itoa(threads)}, r)
			p.Batch, p.Threads, p.JudgedSteps, p.Warnings = batch, threads, []int{0, 1}, nil
			s.Points = append(s.Points, p)
		}
	}
	return s
}

// stretch multiplies both engines' times, sets their threads and leaves one comparison.
func stretch(r *record.Run, reference, candidate float64, threads int) {
	t := r.Timing
	t.Others, t.Comparisons, t.LeftOut = nil, nil, nil
	times := func(e *record.EngineTiming, factor float64) {
		e.Threads = threads
		q := &e.StepSeconds
		q.Median, q.Low, q.High = q.Median*factor, q.Low*factor, q.High*factor
		medians := make([]float64, len(e.BlockMedians)) // the same ones stand in Modes and in Reference
		for i, x := range e.BlockMedians {
			medians[i] = x * factor
		}
		e.BlockMedians = medians
	}
	times(&t.Reference, reference)
	times(&t.Candidate, candidate)
	for i := range t.Modes {
		times(&t.Modes[i], reference)
	}
	m := &t.Measured
	m.Median, m.Low, m.High = m.Median*reference/candidate, m.Low*reference/candidate, m.High*reference/candidate
	for i := range m.Ratios {
		m.Ratios[i] *= reference / candidate
	}
	if t.Speedup != nil {
		claim(r)
	}
}

// Package falsealarms sums up many comparisons of one experiment without a planted mistake, which differ in their seed alone: how often did the judge
// say FAIL of a candidate that is right? "make false-alarms" makes the comparisons and keeps the summary.
//
// It judges nothing: it reads the records that "tandem run" left. An INCONCLUSIVE is no false alarm, but it is counted and its reasons are given.
package falsealarms

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tandem/results/record"
)

// Summary is what many comparisons came to.
type Summary struct {
	Experiment string `json:"experiment"`
	Tandem     string `json:"tandem"`
	Processor  string `json:"processor"`
	// Reference and Candidate are the engines with their threads.
	Reference    string    `json:"reference"`
	Candidate    string    `json:"candidate"`
	First        time.Time `json:"first"` // when the comparisons were made
	Last         time.Time `json:"last"`
	Pass         int       `json:"pass"`
	Fail         int       `json:"fail"`
	Inconclusive int       `json:"inconclusive"`
	Runs         []Run     `json:"runs"`
}

// Run is one comparison. Numbers are the largest of all judged steps.
type Run struct {
	Seed       uint64         `json:"seed"`
	Verdict    record.Verdict `json:"verdict"`
	Stage      record.Stage   `json:"stage,omitempty"`
	Forward    record.Float   `json:"forward_rho"`
	Gradients  record.Float   `json:"gradients_rho"`
	Update     record.Float   `json:"update_rho"`
	Float64Gap record.Float   `json:"float64_gap"`
	// Horizon is the step at which the reference's own nudged runs part; Departure that at which the candidate left them, -1 if it never did.
	Horizon   int `json:"horizon"`
	Departure int `json:"departure"`
	// Reasons are there unless the verdict is PASS.
	Reasons []string `json:"reasons,omitempty"`
}

// Read sums up the records <dir>/*/result.json, at least one.
func Read(dir string) (*Summary, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "result.json"))
	if err != nil {
		return nil, err
	}
	var records []*record.Run
	for _, file := range files {
		r, err := record.Read(file)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	s, err := Of(records)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return s, nil
}

// Of sums up comparisons. They must be of one experiment, by the same engines, without planted mistakes, and each of another seed.
func Of(records []*record.Run) (*Summary, error) {
	if len(records) == 0 {
		return nil, errors.New("there is no comparison to sum up")
	}
	s := &Summary{}
	seeds := map[uint64]bool{}
	for i, r := range records {
		if r.Experiment == nil || len(r.Engines) != 2 {
			return nil, errors.New("a record names no experiment or not two engines")
		}
		seed := r.Experiment.Seed
		is := [...]string{r.Experiment.Name, r.Environment.Tandem, r.Environment.CPU, r.Engines[0].Label(), r.Engines[1].Label()}
		was := [...]*string{&s.Experiment, &s.Tandem, &s.Processor, &s.Reference, &s.Candidate}
		for k, v := range is {
			if i == 0 {
				*was[k] = v
			}
			if *was[k] != v {
				return nil, fmt.Errorf("the comparison of seed %d is of %q, another of %q: they cannot be summed up together", seed, v, *was[k])
			}
		}
		if seeds[seed] {
			return nil, fmt.Errorf("seed %d is there twice", seed)
		}
		seeds[seed] = true
		for _, e := range r.Engines {
			if e.Mutant != "" {
				return nil, fmt.Errorf("the comparison of seed %d has the planted mistake %q", seed, e.Mutant)
			}
		}
		if i == 0 || r.Started.Before(s.First) {
			s.First = r.Started
		}
		if r.Started.After(s.Last) {
			s.Last = r.Started
		}
		s.add(r)
	}
	slices.SortFunc(s.Runs, func(a, b Run) int { return int(int64(a.Seed) - int64(b.Seed)) })
	return s, nil
}

func (s *Summary) add(r *record.Run) {
	p := &r.Parity
	out := Run{Seed: r.Experiment.Seed, Verdict: p.Verdict, Stage: p.Stage, Departure: -1}
	switch p.Verdict {
	case record.Pass:
		s.Pass++
	case record.Fail:
		s.Fail++
	default:
		s.Inconclusive++
	}
	if p.Verdict != record.Pass {
		out.Reasons = p.Reasons
	}
	for _, step := range p.Steps {
		for _, list := range []struct {
			rho    *record.Float
			errors []record.TensorError
		}{{&out.Forward, step.Outputs}, {&out.Gradients, step.Gradients}, {&out.Update, step.Update}} {
			for _, e := range list.errors {
				record.Larger(list.rho, e.Rho)
				if e.Float64Gap != nil {
					record.Larger(&out.Float64Gap, *e.Float64Gap)
				}
			}
		}
	}
	if c := p.Curve; c != nil {
		out.Horizon = c.Horizon
		if c.Departure != nil {
			out.Departure = c.Departure.Step
		}
	}
	s.Runs = append(s.Runs, out)
}

// Markdown is the summary for people.
func (s *Summary) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: %d of %d correct comparisons called wrong\n\n", s.Experiment, s.Fail, len(s.Runs))
	fmt.Fprintf(&b, "%d comparisons without a planted mistake, each with another seed of weights, batch order and dropout: %d PASS, %d INCONCLUSIVE, %d FAIL. ",
		len(s.Runs), s.Pass, s.Inconclusive, s.Fail)
	fmt.Fprintf(&b, "%s against %s, tandem %s on %s, from %s to %s. Written by `make false-alarms`.\n\n",
		s.Candidate, s.Reference, s.Tandem, s.Processor, s.First.UTC().Format("2006-01-02 15:04"), s.Last.UTC().Format("2006-01-02 15:04 UTC"))
	b.WriteString("rho is the largest error in units of the reference's own noise: 4 may be, 16 fails. The float64 gap may be 1e-10. The horizon is the step at which the " +
		"reference's own nudged runs part; the departure is where the candidate left them.\n\n")
	b.WriteString("| seed | verdict | rho forward | rho gradients | rho update | float64 gap | horizon | departure |\n| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, r := range s.Runs {
		departure := "-"
		if r.Departure >= 0 {
			departure = fmt.Sprint(r.Departure)
		}
		fmt.Fprintf(&b, "| %d | %s | %.2f | %.2f | %.2f | %.1e | %d | %s |\n",
			r.Seed, r.Verdict, float64(r.Forward), float64(r.Gradients), float64(r.Update), float64(r.Float64Gap), r.Horizon, departure)
	}
	for _, r := range s.Runs {
		if len(r.Reasons) > 0 {
			fmt.Fprintf(&b, "\nSeed %d is %s:\n\n", r.Seed, r.Verdict)
			for _, reason := range r.Reasons {
				fmt.Fprintf(&b, "- %s\n", reason)
			}
		}
	}
	return b.String()
}

// Write writes path.md and path.json.
func (s *Summary) Write(path string) error { return record.WriteSummary(path, s, s.Markdown()) }

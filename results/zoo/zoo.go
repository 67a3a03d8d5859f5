// Package zoo sums up what became of real models: which were judged, with what verdict, which were refused and why. "make zoo" makes the
// comparisons and keeps the table.
//
// It judges nothing: it reads the records that "tandem run" left, and the messages where it left none.
package zoo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tandem/fixtures/zoo"
	"tandem/results/record"
)

// The ends beside a verdict.
const (
	Refused = "refused" // before training, with a reason that the user can act on
	Broken  = "broken"  // an engine or tandem itself failed
	Absent  = "not compared"
)

// Files of a model's folder.
const (
	ResultFile = "result.json"
	// Beside the folder, which a refused run does not leave.
	refusalSuffix = ".refusal.txt"
	brokenSuffix  = ".broken.txt"
)

// Entry is one model.
type Entry struct {
	Model   string `json:"model"`
	Library string `json:"library"`
	// End is a verdict, Refused or Broken.
	End        string `json:"end"`
	Parameters int    `json:"parameters,omitempty"`
	// The largest rho and float64 gap of outputs and gradients at all judged steps.
	Rho        record.Float `json:"rho"`
	Float64Gap record.Float `json:"float64_gap"`
	Speedup    string       `json:"speedup,omitempty"`
	Seconds    float64      `json:"seconds,omitempty"` // of the whole comparison
	// Reasons are there unless the verdict is PASS.
	Reasons []string `json:"reasons,omitempty"`
}

// Summary is the zoo's table.
type Summary struct {
	Tandem    string    `json:"tandem"`
	Processor string    `json:"processor"`
	Reference string    `json:"reference"`
	Candidate string    `json:"candidate"`
	First     time.Time `json:"first"` // when the comparisons were made
	Last      time.Time `json:"last"`
	Entries   []Entry   `json:"entries"`
}

// Count is how many ended so.
func (s *Summary) Count(end string) (n int) {
	for _, e := range s.Entries {
		if e.End == end {
			n++
		}
	}
	return n
}

// Read sums up a folder that holds <model>/result.json, or <model>.refusal.txt or <model>.broken.txt with the command's message, of each of the
// models; one of which there is none is Absent.
func Read(dir string, models []zoo.Model) (*Summary, error) {
	s := &Summary{}
	for _, m := range models {
		e := Entry{Model: m.Name, Library: m.Library}
		found := false
		for end, suffix := range map[string]string{Refused: refusalSuffix, Broken: brokenSuffix} {
			text, err := os.ReadFile(filepath.Join(dir, m.Name+suffix))
			if err == nil {
				e.End, found = end, true
				e.Reasons = []string{message(string(text))}
			} else if !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		if !found {
			switch r, err := record.Read(filepath.Join(dir, m.Name, ResultFile)); {
			case errors.Is(err, fs.ErrNotExist):
				e.End = Absent
			case err != nil:
				return nil, fmt.Errorf("%s: %w", m.Name, err)
			default:
				if err := s.add(&e, r); err != nil {
					return nil, err
				}
			}
		}
		s.Entries = append(s.Entries, e)
	}
	if s.Last.IsZero() {
		return nil, errors.New("no model was compared")
	}
	return s, nil
}

// message is a command's error without what went before it.
func message(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		if rest, is := strings.CutPrefix(line, "tandem: "); is {
			lines = append([]string{rest}, lines[i+1:]...)
			break
		}
	}
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	text, _, _ = strings.Cut(strings.Join(lines, " "), "; it supports Abs,") // a list of all operators is too much for a table
	return text
}

func (s *Summary) add(e *Entry, r *record.Run) error {
	if r.Experiment == nil || r.Experiment.Name != e.Model || len(r.Engines) != 2 {
		return fmt.Errorf("the record of %s is of another experiment, or lacks an engine", e.Model)
	}
	for _, one := range r.Engines {
		if one.Mutant != "" {
			return fmt.Errorf("the comparison of %s has the planted mistake %q", e.Model, one.Mutant)
		}
	}
	is := [...]string{r.Environment.Tandem, r.Environment.CPU, r.Engines[0].Label(), r.Engines[1].Label()}
	for i, was := range [...]*string{&s.Tandem, &s.Processor, &s.Reference, &s.Candidate} {
		if s.Last.IsZero() {
			*was = is[i]
		}
		if *was != is[i] {
			return fmt.Errorf("the comparison of %s is of %q, another of %q: they do not belong into one table", e.Model, is[i], *was)
		}
	}
	if s.Last.IsZero() || r.Started.Before(s.First) {
		s.First = r.Started
	}
	if r.Started.After(s.Last) {
		s.Last = r.Started
	}
	p := &r.Parity
	e.End, e.Parameters, e.Seconds = string(p.Verdict), r.Model.Parameters, r.Seconds
	if p.Verdict != record.Pass {
		e.Reasons = p.Reasons
	}
	for _, step := range p.Steps {
		for _, list := range [][]record.TensorError{step.Outputs, step.Gradients} {
			for _, one := range list {
				record.Larger(&e.Rho, one.Rho)
				if one.Float64Gap != nil {
					record.Larger(&e.Float64Gap, *one.Float64Gap)
				}
			}
		}
	}
	if t := r.Timing; t != nil && t.Speedup != nil {
		e.Speedup = fmt.Sprintf("%.2f [%.2f, %.2f]", float64(t.Speedup.Median), float64(t.Speedup.Low), float64(t.Speedup.High))
	}
	return nil
}

// Markdown is the table for people.
func (s *Summary) Markdown() string {
	var b strings.Builder
	pass := s.Count(string(record.Pass))
	fmt.Fprintf(&b, "# The zoo: %d of %d models pass\n\n", pass, len(s.Entries))
	fmt.Fprintf(&b, "%d PASS, %d INCONCLUSIVE, %d FAIL; %d refused before training, %d broken, %d not compared. ",
		pass, s.Count(string(record.Inconclusive)), s.Count(string(record.Fail)), s.Count(Refused), s.Count(Broken), s.Count(Absent))
	fmt.Fprintf(&b, "%s against %s, tandem %s on %s, from %s to %s. Written by `make zoo`.\n\n",
		s.Candidate, s.Reference, s.Tandem, s.Processor, s.First.UTC().Format("2006-01-02 15:04"), s.Last.UTC().Format("2006-01-02 15:04 UTC"))
	b.WriteString("Random weights, random numbers, AdamW (SGD with momentum for torchvision's older networks), 8 steps of one batch of 4 samples, judged at the first and the last. rho is the largest error of outputs and gradients in units of the " +
		"reference's own noise: 4 may be, 16 fails; the float64 gap is how far both are apart in float64: 1e-10 may be. The speed-up, where it was measured, is over fused PyTorch, " +
		"with its 95 % interval; none is claimed without a PASS.\n\n")
	b.WriteString("The settings are not the first that were tried: with AdamW at 0.001 on four different batches several references did not learn in so few steps, and SGD at 0.01 and " +
		"AdamW at 0.003 were too much for some (ResNet-18, ConvNeXt, Swin), whose losses leapt or did not fall; a run whose reference does not learn is INCONCLUSIVE and says nothing of the candidate. " +
		"Where the gradient is large at random weights (a norm of 150 to 1,500: ResNet-50, MobileNetV2, RegNet, GoogLeNet), SGD at 0.001 made a first step far beyond where that gradient means anything, " +
		"and PyTorch's own nudged runs parted at once by what a few flipped ReLUs do; AdamW at 0.0003 learned the batch in a single step (ConvNeXt, Swin). " +
		"These have a rate with which a step lowers the loss by some per cent, and the segmentation networks, which hardly learned, a higher one. " +
		"DenseNet's shifts before ReLUs begin a little off zero: at zero the gradient of its first scale cancels to rounding, PyTorch's own in float64 too. " +
		"A network of many ReLUs has millions of units, and where one's input is as near zero as rounding is large, it may be on the other side: in GoogLeNet that was seen at step 0 of one in the " +
		"last block, 7.5e-05 in float64 where the tensor's rounding is 2.6e-05, of which the gradients before it come to hundreds of times the noise; PyTorch's own float32 pass had two others. " +
		"The float64 gap says what is right there; no setting that was tried makes such units rare, and the verdict stays INCONCLUSIVE. " +
		"No limit of the judge is changed for any model.\n\n")
	b.WriteString("| model | from | end | parameters | rho | float64 gap | speed-up | seconds |\n| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |\n")
	for _, e := range s.Entries {
		if e.End == Refused || e.End == Broken || e.End == Absent {
			fmt.Fprintf(&b, "| %s | %s | %s | - | - | - | - | - |\n", e.Model, e.Library, e.End)
			continue
		}
		speed := e.Speedup
		if speed == "" {
			speed = "-"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %.2f | %.1e | %s | %.0f |\n",
			e.Model, e.Library, e.End, e.Parameters, float64(e.Rho), float64(e.Float64Gap), speed, e.Seconds)
	}
	for _, e := range s.Entries {
		if len(e.Reasons) > 0 {
			fmt.Fprintf(&b, "\n%s is %s:\n\n", e.Model, e.End)
			for _, reason := range e.Reasons {
				fmt.Fprintf(&b, "- %s\n", reason)
			}
		}
	}
	return b.String()
}

// Write writes path.md and path.json.
func (s *Summary) Write(path string) error { return record.WriteSummary(path, s, s.Markdown()) }

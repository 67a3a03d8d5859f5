package export

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"tandem/fixtures/experiment"
	"tandem/results/record"
)

// The elements of JUnit's XML as CI systems read it (https://github.com/testmoapp/junitxml describes the common ground).
type (
	testSuites struct {
		XMLName  xml.Name    `xml:"testsuites"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Suites   []testSuite `xml:"testsuite"`
	}
	testSuite struct {
		Name       string     `xml:"name,attr"`
		Tests      int        `xml:"tests,attr"`
		Failures   int        `xml:"failures,attr"`
		Errors     int        `xml:"errors,attr"`
		Skipped    int        `xml:"skipped,attr"`
		Time       string     `xml:"time,attr"`
		Timestamp  string     `xml:"timestamp,attr"`
		Properties []property `xml:"properties>property,omitempty"`
		Cases      []testCase `xml:"testcase"`
	}
	property struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	testCase struct {
		Class   string  `xml:"classname,attr"`
		Name    string  `xml:"name,attr"`
		Time    string  `xml:"time,attr"`
		Failure *defect `xml:"failure"`
		Error   *defect `xml:"error"`
		Skipped *defect `xml:"skipped"`
		Output  string  `xml:"system-out,omitempty"`
	}
	defect struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes a suite for each run. Its tests are the verdict, every stage, every judged step, every independent forward pass and, where
// the judge proved itself, every planted mistake. A FAIL is a failure, an INCONCLUSIVE an error, what was not judged is skipped.
func JUnit(w io.Writer, runs ...*record.Run) error {
	all := testSuites{Name: "tandem"}
	var seconds float64
	for _, r := range runs {
		s := suite(r)
		all.Tests, all.Failures, all.Errors, all.Skipped = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors, all.Skipped+s.Skipped
		seconds += r.Seconds
		all.Suites = append(all.Suites, s)
	}
	all.Time = decimal(seconds)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func decimal(seconds float64) string { return strconv.FormatFloat(seconds, 'f', 3, 64) }

func suite(r *record.Run) testSuite {
	name := experimentName(r)
	s := testSuite{
		Name: name + ": " + engineName(r, record.Candidate) + " against " + engineName(r, record.Reference), Time: decimal(r.Seconds), Timestamp: r.Started.UTC().Format(time.RFC3339),
		Properties: []property{{"tandem", clean(r.Environment.Tandem)}, {"cpu", clean(r.Environment.CPU)}, {"model_sha256", clean(r.Model.SHA256)}},
	}
	add := func(class, name string, c testCase) {
		c.Class, c.Name, c.Time = "tandem."+strings.ReplaceAll(s.Name, ".", "_")+"."+class, name, "0"
		s.Tests++
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
		s.Cases = append(s.Cases, c)
	}
	p := &r.Parity
	add("verdict", "verdict", judged(p.Verdict, strings.Join(cleanAll(p.Reasons), "\n")))
	for _, st := range p.Stages {
		c := judged(st.Verdict, clean(st.Summary))
		if st.Checked == 0 && st.Verdict == record.Inconclusive {
			c = testCase{Skipped: &defect{Message: "not judged: " + clean(st.Summary)}}
		}
		add("stage", clean(string(st.Stage)), c)
	}
	for i := range p.Steps {
		add("step", fmt.Sprintf("judged step %d", p.Steps[i].Step), judgedStep(r, &p.Steps[i]))
	}
	for _, f := range r.Forward {
		c := testCase{Output: fmt.Sprintf("largest difference %v, limit %v, %d rows", f.MaxDiff, f.Limit, f.Rows)}
		switch {
		case f.Skipped != "":
			c = testCase{Skipped: &defect{Message: clean(f.Skipped)}}
		case !f.OK:
			c.Failure = &defect{Message: fmt.Sprintf("the outputs differ by %v of the largest, %v may be", f.MaxDiff, f.Limit), Type: string(record.Fail)}
		}
		add("forward", fmt.Sprintf("%s weights: %s and %s", strings.TrimSuffix(clean(f.Weights), " weights"), clean(f.A), clean(f.B)), c)
	}
	if p.Proof != nil {
		for _, m := range p.Proof.Mutants {
			c := testCase{Output: "first wrong stage: " + clean(string(m.Stage))}
			if m.Verdict != record.Fail {
				c.Failure = &defect{Message: fmt.Sprintf("the judge missed the planted mistake: its verdict is %s", m.Verdict), Type: "missed"}
			}
			add("proof", "planted mistake "+clean(m.Name), c)
		}
	}
	return s
}

func cleanAll(texts []string) []string {
	var out []string
	for _, s := range texts {
		out = append(out, clean(s))
	}
	return out
}

// judged is a test that a verdict was given on.
func judged(v record.Verdict, reasons string) testCase {
	first, _, _ := strings.Cut(reasons, "\n")
	switch v {
	case record.Pass:
		return testCase{Output: reasons}
	case record.Fail:
		return testCase{Failure: &defect{Message: first, Type: string(v), Text: reasons}}
	}
	return testCase{Error: &defect{Message: first, Type: string(v), Text: reasons}}
}

// judgedStep is the test of one step. The verdict is on all steps together: a step of a run that passed is no failure, whatever single
// numbers it has; in one that did not, it is one if it has a tensor beyond what FAIL needs.
func judgedStep(r *record.Run, s *record.JudgedStep) testCase {
	t := experiment.DefaultThresholds
	if r.Experiment != nil {
		t = r.Experiment.Parity.Thresholds
	}
	var lines, wrong []string
	for _, list := range tensorLists(s) {
		if len(list.errs) == 0 {
			continue
		}
		worst := list.errs[0]
		for _, e := range list.errs {
			if worse(e.Rho, worst.Rho) {
				worst = e
			}
			far := e.Float64Gap != nil && !(float64(*e.Float64Gap) <= t.Float64Gap)
			if !(float64(e.Rho) <= t.FailRho) || far {
				words := fmt.Sprintf("%s %s: rho %.3g", list.kind, clean(e.Name), float64(e.Rho))
				if far {
					words += fmt.Sprintf(", float64 gap %.2g", float64(*e.Float64Gap))
				}
				wrong = append(wrong, words)
			}
		}
		lines = append(lines, fmt.Sprintf("%s: %d tensors, largest rho %.3g (%s)", list.kind, len(list.errs), float64(worst.Rho), clean(worst.Name)))
	}
	c := testCase{Output: strings.Join(lines, "\n")}
	if len(wrong) > 0 && r.Parity.Verdict != record.Pass {
		c.Failure = &defect{Message: wrong[0], Type: string(record.Fail), Text: strings.Join(wrong, "\n")}
	}
	return c
}

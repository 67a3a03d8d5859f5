package export_test

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"flag"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/perf/benchfmt"

	"tandem/results/export"
	"tandem/results/record"
	"tandem/results/record/recordtest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("differs from %s; if that is meant, run the test with -update (-want +got):\n%s", path, diff)
	}
}

const hostile = "]]></testcase>\"'<x>\x00\x1b,\n;=/\u202e"

// strange is a record whose names are as bad as can be.
func strange(r *record.Run) *record.Run {
	r.Experiment.Name = hostile
	for i := range r.Engines {
		r.Engines[i].Name = hostile
	}
	for i := range r.Parity.Steps {
		for k := range r.Parity.Steps[i].Gradients {
			r.Parity.Steps[i].Gradients[k].Name = hostile
			r.Parity.Steps[i].Gradients[k].Rho = record.Float(math.NaN())
		}
	}
	r.Parity.Reasons = []string{hostile}
	if r.Timing != nil {
		r.Timing.Candidate.Engine, r.Timing.Candidate.Mode = hostile, hostile
	}
	return r
}

func TestJUnit(t *testing.T) {
	undecided := recordtest.Undecided()
	undecided.Parity.Stages[0].Checked, undecided.Parity.Stages[0].Verdict = 0, record.Inconclusive
	missed := recordtest.Faster()
	missed.Parity.Proof.Mutants = []record.Mutant{{Name: "a", Verdict: record.Fail, Stage: record.StageLoss}, {Name: "b", Verdict: record.Pass}}
	tests := []struct {
		name                              string
		run                               *record.Run
		tests, failures, defects, skipped int
		reason                            string
	}{
		{"passed", recordtest.Faster(), 1 + 7 + 5 + 4, 0, 0, 1, "verdict, stages, steps, looks; one look was not taken"},
		{"failed", recordtest.Failed(), 1 + 7 + 5 + 4, 1 + 1 + 5, 0, 1, "verdict, the backward stage, every step"},
		{"undecided", undecided, 1 + 7 + 5 + 4, 0, 2, 2, "verdict and stage are errors; between the limits no step is a failure, and a stage was not judged"},
		{"missed", missed, 1 + 7 + 5 + 4 + 2, 1, 0, 1, "a planted mistake that the judge missed"},
		{"strange", strange(recordtest.Failed()), 1 + 7 + 5 + 4, 7, 0, 1, "names cannot end an element"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var buf bytes.Buffer
			if err := export.JUnit(&buf, test.run, test.run); err != nil {
				t.Fatal(err)
			}
			var got struct {
				Tests    int `xml:"tests,attr"`
				Failures int `xml:"failures,attr"`
				Errors   int `xml:"errors,attr"`
				Skipped  int `xml:"skipped,attr"`
				Suites   []struct {
					Tests int `xml:"tests,attr"`
					Cases []struct {
						Class   string    `xml:"classname,attr"`
						Name    string    `xml:"name,attr"`
						Failure *struct{} `xml:"failure"`
						Error   *struct{} `xml:"error"`
						Skipped *struct{} `xml:"skipped"`
					} `xml:"testcase"`
				} `xml:"testsuite"`
			}
			if err := xml.Unmarshal(buf.Bytes(), &got); err != nil {
				t.Fatalf("not well-formed: %v", err)
			}
			if len(got.Suites) != 2 || got.Tests != 2*test.tests || got.Failures != 2*test.failures || got.Errors != 2*test.defects || got.Skipped != 2*test.skipped {
				t.Fatalf("two suites say %d tests, %d failures, %d errors, %d skipped; want twice %d, %d, %d, %d: %s", got.Tests, got.Failures, got.Errors, got.Skipped,
					test.tests, test.failures, test.defects, test.skipped, test.reason)
			}
			var failures, defects, skipped int
			names := map[string]bool{}
			for _, c := range got.Suites[0].Cases {
				if c.Failure != nil {
					failures++
				}
				if c.Error != nil {
					defects++
				}
				if c.Skipped != nil {
					skipped++
				}
				if names[c.Class+" "+c.Name] {
					t.Errorf("two tests are called %s %s", c.Class, c.Name)
				}
				names[c.Class+" "+c.Name] = true
			}
			if len(got.Suites[0].Cases) != test.tests || failures != test.failures || defects != test.defects || skipped != test.skipped {
				t.Errorf("the elements are %d tests, %d failures, %d errors, %d skipped", len(got.Suites[0].Cases), failures, defects, skipped)
			}
		})
	}
	var buf bytes.Buffer
	if err := export.JUnit(&buf, recordtest.Failed()); err != nil {
		t.Fatal(err)
	}
	golden(t, "failed.xml", buf.Bytes())
}

func TestCSVHasEveryNumber(t *testing.T) {
	r := recordtest.Faster()
	r.Loss.Candidate[7], r.Loss.Candidate[8], r.Loss.Candidate[9] = record.Float(math.NaN()), record.Float(math.Inf(1)), record.Float(math.Inf(-1))
	r.Loss.Envelope = r.Loss.Envelope[:700]
	dir := t.TempDir()
	if err := export.CSV(dir, r); err != nil {
		t.Fatal(err)
	}
	table := func(name string) [][]string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll() // which wants as many cells in each row
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return rows
	}
	losses := table(export.FileLosses)
	if len(losses) != 1+785 {
		t.Fatalf("%d rows of losses", len(losses))
	}
	for i, row := range losses[1:] {
		for k, values := range [][]record.Float{r.Loss.Reference, r.Loss.Candidate, r.Loss.Envelope} {
			if i >= len(values) {
				if row[1+k] != "" {
					t.Errorf("step %d has an envelope that was not measured", i)
				}
				continue
			}
			if x, err := strconv.ParseFloat(row[1+k], 64); err != nil || x != float64(values[i]) && !(math.IsNaN(x) && math.IsNaN(float64(values[i]))) {
				t.Errorf("step %d: %q for %v", i, row[1+k], values[i])
			}
		}
	}
	// 5 steps with a loss, 6 gradients, 3 outputs, 6 updates and 6 whole steps each.
	if n := len(table(export.FileTensors)); n != 1+5*(1+6+3+6+6) {
		t.Errorf("%d rows of tensors", n)
	}
	// Two modes, the candidate and two others, 20 blocks each; the best mode is one of the modes.
	if n := len(table(export.FileTiming)); n != 1+5*20 {
		t.Errorf("%d rows of times", n)
	}

	// A later export without a PASS takes the times away.
	if err := export.CSV(dir, strange(recordtest.Failed())); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, export.FileTiming)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the times of a FAIL are there: %v", err)
	}
	table(export.FileTensors)
	if err := export.CSV(filepath.Join(dir, "absent"), r); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder gives %v", err)
	}
}

func TestBenchstatFormat(t *testing.T) {
	var buf bytes.Buffer
	r := recordtest.Faster()
	if err := export.Benchstat(&buf, r, strange(recordtest.Slower())); err != nil {
		t.Fatal(err)
	}
	reader := benchfmt.NewReader(&buf, "tandem")
	results := 0
	sums := map[string]float64{}
	for reader.Scan() {
		switch x := reader.Result().(type) {
		case *benchfmt.Result:
			results++
			if len(x.Values) != 1 || x.Values[0].Unit != "sec/op" || !(x.Values[0].Value > 0) || x.Iters != 50 {
				t.Errorf("%s: %v, %d iterations", x.Name, x.Values, x.Iters)
				continue
			}
			sums[x.Name.String()] += x.Values[0].Value
			if x.GetConfig("pkg") == "" || x.GetConfig("parity") != "PASS" {
				t.Errorf("%s has no pkg or parity", x.Name)
			}
		default:
			t.Errorf("not a result: %v", x)
		}
	}
	if err := reader.Err(); err != nil {
		t.Fatal(err)
	}
	if results != 2*5*20 {
		t.Errorf("%d results, want two runs of five contenders of 20 blocks", results)
	}
	for name, e := range map[string]record.EngineTiming{"Step/engine=native-1": r.Timing.Candidate, "Step/engine=pytorch/mode=fused-1": r.Timing.Reference} {
		var want float64
		for _, x := range e.BlockMedians {
			want += x
		}
		// The second run's reference has the same name and the same times.
		if got := sums[name]; !(math.Abs(got-want) < 1e-9*want) && !(math.Abs(got-2*want) < 1e-9*want) {
			t.Errorf("the times of %s add up to %v, want %v", name, got, want)
		}
	}
}

// TestBenchstatItselfReadsIt gives the lines to benchstat, as pinned in tools/go.mod.
func TestBenchstatItselfReadsIt(t *testing.T) {
	if testing.Short() {
		t.Skip("builds benchstat")
	}
	dir := t.TempDir()
	later := recordtest.Slower()
	later.Started, later.Environment.Tandem = later.Started.AddDate(0, 0, 7), "0.2.0"
	for name, r := range map[string]*record.Run{"old.txt": recordtest.Faster(), "new.txt": later} {
		var buf bytes.Buffer
		if err := export.Benchstat(&buf, r); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), buf.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	benchstat := func(args ...string) string {
		c := exec.CommandContext(t.Context(), "go", append([]string{"tool", "-modfile=../../tools/go.mod", "benchstat"}, args...)...)
		var complaints bytes.Buffer
		c.Stderr = &complaints
		out, err := c.Output()
		if err != nil || complaints.Len() > 0 {
			t.Fatalf("%v: %v\n%s", c, err, complaints.String())
		}
		return string(out)
	}
	two := benchstat(filepath.Join(dir, "old.txt"), filepath.Join(dir, "new.txt"))
	// The candidate became 14 times slower, which twenty blocks each tell; the reference did not change.
	if !regexp.MustCompile(`Step/engine=native-1\s+314\.\d+µ ±\s+\d+%\s+439\d\.\d+µ ±\s+\d+%\s+\+129\d\.\d+% \(p=0\.000 n=20\)`).MatchString(two) {
		t.Errorf("benchstat says:\n%s", two)
	}
	if !regexp.MustCompile(`Step/engine=pytorch/mode=fused-1 .*~ \(p=1\.000 n=20\)`).MatchString(two) {
		t.Errorf("benchstat sees a difference of the reference:\n%s", two)
	}
	columns := benchstat("-row", ".name", "-col", "/engine", "-filter", "/gomaxprocs:1 (/mode:fused OR /engine:native)", filepath.Join(dir, "old.txt"))
	if !strings.Contains(columns, "pytorch") || !strings.Contains(columns, "native") || !strings.Contains(columns, "-5") {
		t.Errorf("benchstat says of the engines:\n%s", columns)
	}
}

func TestBenchstatRefusesWhatHasNoSpeed(t *testing.T) {
	for label, test := range map[string]struct {
		run   *record.Run
		words string
	}{
		"FAIL":         {recordtest.Failed(), "the verdict is FAIL"},
		"INCONCLUSIVE": {recordtest.Undecided(), "the verdict is INCONCLUSIVE"},
		"untimed":      {recordtest.Checked(), "nothing was timed: speed needs a live reference"},
		"empty":        {&record.Run{}, "wrong training"},
	} {
		var buf bytes.Buffer
		err := export.Benchstat(&buf, recordtest.Faster(), test.run)
		var none *export.NoSpeedError
		if !errors.As(err, &none) || !strings.Contains(err.Error(), test.words) || buf.Len() > 0 {
			t.Errorf("%s: %v, %d bytes", label, err, buf.Len())
		}
	}
}

func TestBadge(t *testing.T) {
	unclaimed := recordtest.Faster()
	unclaimed.Timing.Speedup = nil
	tests := []struct {
		run    *record.Run
		text   string
		reason string
	}{
		{recordtest.Faster(), "tandem: PASS, 2.3 times faster than pytorch", "a claim after a PASS"},
		{recordtest.Slower(), "tandem: PASS, 6.1 times slower than pytorch", "a slowness is said as plainly"},
		{unclaimed, "tandem: PASS", "within the noise there is no claim"},
		{recordtest.Failed(), "tandem: FAIL: backward", "the first wrong stage"},
		{recordtest.Undecided(), "tandem: INCONCLUSIVE", "not decided"},
		{recordtest.Checked(), "tandem: PASS", "not timed"},
		{&record.Run{}, "tandem: INCONCLUSIVE", "an empty record proves nothing"},
	}
	for _, test := range tests {
		var buf bytes.Buffer
		if err := export.Badge(&buf, test.run); err != nil {
			t.Fatal(err)
		}
		var svg struct {
			Title string `xml:"title"`
			Width int    `xml:"width,attr"`
		}
		if err := xml.Unmarshal(buf.Bytes(), &svg); err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, buf.String())
		}
		if svg.Title != test.text || svg.Width < 60 || svg.Width > 400 {
			t.Errorf("%s: says %q, %d wide, want %q", test.reason, svg.Title, svg.Width, test.text)
		}
	}
	// No verdict but PASS shows a number, whatever else the record has.
	for _, verdict := range []record.Verdict{record.Fail, record.Inconclusive, "", "pass"} {
		r := recordtest.Faster()
		r.Parity.Verdict = verdict
		var buf bytes.Buffer
		if err := export.Badge(&buf, r); err != nil {
			t.Fatal(err)
		}
		if text := regexp.MustCompile(`<title>.*</title>`).FindString(buf.String()); strings.Contains(text, "times") || strings.ContainsAny(text, "0123456789") {
			t.Errorf("verdict %q: the badge says %q", verdict, text)
		}
	}
	var buf bytes.Buffer
	if err := export.Badge(&buf, strange(recordtest.Faster())); err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(buf.Bytes(), new(struct{})); err != nil {
		t.Errorf("a name breaks the badge: %v", err)
	}
}

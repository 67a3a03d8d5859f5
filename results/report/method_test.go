package report

import (
	"bytes"
	"flag"
	"os"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"

	"tandem/fixtures/experiment"
	"tandem/results/judge"
	"tandem/results/record"
	"tandem/results/trace"
)

// TestMethodPage holds results/METHOD.md to the numbers of the code.
func TestMethodPage(t *testing.T) {
	published, err := record.Read("../published/mnist-mlp/result.json")
	if err != nil {
		t.Fatal(err)
	}
	e, err := experiment.Load("mnist-mlp")
	if err != nil {
		t.Fatal(err)
	}
	type limit struct{ Name, Value, Meaning string }
	values := struct {
		LeastVariants, Nudges, ReplaySteps, MinTrainings, MinPairs, Blocks, BlockSteps, WarmUp int
		LookLimit                                                                              string
		T                                                                                      experiment.Thresholds
		Limits                                                                                 []limit
	}{
		trace.LeastVariants, trace.DefaultNudges, trace.ReplaySteps, judge.MinTrainings, record.MinPairs, e.Timing.Blocks, e.Timing.BlockSteps, e.Timing.WarmUp,
		relative(published.Forward[0].Limit), experiment.DefaultThresholds, nil,
	}
	for _, x := range thresholds(experiment.DefaultThresholds) {
		values.Limits = append(values.Limits, limit{x.name, number(x.value), x.meaning})
	}
	var want bytes.Buffer
	if err := template.Must(template.ParseFiles("testdata/METHOD.md.tmpl")).Option("missingkey=error").Execute(&want, values); err != nil {
		t.Fatal(err)
	}
	const page = "../METHOD.md"
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		if err := os.WriteFile(page, want.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("METHOD.md is not what the code says; run: go test ./results/report -run Method -update (-want +got)\n%s", diff)
	}
}

package report_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"tandem/results/record"
	"tandem/results/record/recordtest"
	"tandem/results/report"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with testdata/name, or rewrites it.
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

func terminal(t *testing.T, r *record.Run, o report.Options) string {
	t.Helper()
	var buf bytes.Buffer
	if err := report.Terminal(&buf, r, o); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestTerminalGolden(t *testing.T) {
	path := "runs/mnist-mlp/report.md"
	tests := []struct {
		name  string
		build func() *record.Run
		o     report.Options
	}{
		{"faster", recordtest.Faster, report.Options{Report: path}},
		{"slower", recordtest.Slower, report.Options{Report: path}},
		{"failed", recordtest.Failed, report.Options{Report: path}},
		{"undecided", recordtest.Undecided, report.Options{Report: path}},
		{"checked", recordtest.Checked, report.Options{}},
		{"verbose", recordtest.Faster, report.Options{Verbose: true, Report: path}},
		{"color", recordtest.Failed, report.Options{Color: true}},
		{"ascii-narrow", recordtest.Slower, report.Options{ASCII: true, Width: 72}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := terminal(t, test.build(), test.o)
			golden(t, test.name+".txt", []byte(got))
			if !test.o.Color && strings.ContainsRune(got, '\x1b') {
				t.Error("has an escape sequence without Color")
			}
			width := test.o.Width
			if width == 0 {
				width = 100
			}
			escape := regexp.MustCompile("\x1b\\[[0-9;]*m")
			for _, line := range strings.Split(escape.ReplaceAllString(got, ""), "\n") {
				if utf8.RuneCountInString(line) > width {
					t.Errorf("wider than %d: %q", width, line)
				}
				if test.o.ASCII && strings.ContainsFunc(line, func(r rune) bool { return r > '~' }) {
					t.Errorf("not ASCII: %q", line)
				}
			}
		})
	}
}

// TestNoSpeedWithoutPass is the rule that the project stands on, held even for records that Validate would refuse.
func TestNoSpeedWithoutPass(t *testing.T) {
	for _, verdict := range []record.Verdict{record.Fail, record.Inconclusive, "", "pass"} {
		r := recordtest.Slower()
		r.Parity.Verdict = verdict
		for _, verbose := range []bool{false, true} {
			got := terminal(t, r, report.Options{Verbose: verbose})
			for _, sign := range []string{"slower", "faster", "speed-up", " ms [", " µs [", r.Timing.Claim} {
				if strings.Contains(got, sign) {
					t.Errorf("verdict %q: shows %q:\n%s", verdict, sign, got)
				}
			}
			if !strings.Contains(got, "not claimed: ") {
				t.Errorf("verdict %q: does not say that nothing is claimed", verdict)
			}
		}
	}
	for claim, want := range map[string]string{
		"native is 6.12 times slower than pytorch": "Speed (parity PASS)  native is 6.12 times slower than pytorch",
		"as measured": "Speed (parity PASS)  native is 6.1 times slower than pytorch fused",
	} {
		r := recordtest.Slower()
		r.Timing.Claim = claim
		if got := terminal(t, r, report.Options{}); !strings.Contains(got, want) || !strings.Contains(got, claim) {
			t.Errorf("a PASS does not say plainly how much slower, or hides the claim %q:\n%s", claim, got)
		}
	}
	r := recordtest.Slower()
	r.Timing.Speedup, r.Timing.Claim = nil, "no speed-up is claimed: 4 pairs of blocks is too few"
	if got := terminal(t, r, report.Options{}); !strings.Contains(got, "not claimed: 4 pairs") || strings.Contains(got, "slower") {
		t.Errorf("a PASS without a claim is shown as:\n%s", got)
	}
}

func TestTerminalSurvivesStrangeRecords(t *testing.T) {
	r := recordtest.Faster()
	r.Engines[1].Name = "evil\x1b[2J\nengine"
	r.Warnings = []string{"a\tb\x07"}
	got := terminal(t, r, report.Options{})
	if strings.ContainsAny(got, "\x1b\x07\t") {
		t.Errorf("control characters of the record reach the terminal: %q", got)
	}
	if got := terminal(t, new(record.Run), report.Options{Verbose: true}); !strings.Contains(got, "no losses were recorded") {
		t.Errorf("an empty record is shown as:\n%s", got)
	}
}

// TestChangedThresholdsAreShown changes a limit: whoever reads the verdict must see it beside the verdict, however little is shown.
func TestChangedThresholdsAreShown(t *testing.T) {
	for name, build := range map[string]func() *record.Run{"PASS": recordtest.Faster, "FAIL": recordtest.Failed, "INCONCLUSIVE": recordtest.Undecided} {
		r := build()
		r.Experiment.Parity.Thresholds.PassRho = 400
		r.Parity.ChangedThresholds = []string{"pass_rho is 400 instead of 4"}
		for _, brief := range []bool{false, true} {
			var out strings.Builder
			if err := report.Terminal(&out, r, report.Options{Brief: brief}); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), "changed thresholds: pass_rho is 400 instead of 4") {
				t.Errorf("%s, brief %t: the summary does not show the changed threshold:\n%s", name, brief, out.String())
			}
		}
		dir := t.TempDir()
		if err := report.Markdown(dir, r); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "report.md"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.ReplaceAll(string(text), "\\", ""), "pass_rho is 400 instead of 4") {
			t.Errorf("%s: report.md does not show the changed threshold", name)
		}
	}
}

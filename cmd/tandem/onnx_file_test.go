//go:build unix

package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tandem/results/compare"
	"tandem/results/record"
)

// TestRealONNXFiles trains ONNX files of other exporters on both sides, from flags alone: PyTorch reads the graph by its own importer, the native
// trainer by its own.
func TestRealONNXFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if out, err := exec.Command(located(t).Python, "testdata/onnx_files.py", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	small := []string{
		"--set", "data.train=128", "--set", "data.test=20", "--set", "train.batch=16", "--set", "train.epochs=6", "--set", "optimizer.learning_rate=0.01",
		"--set", "parity.judged_steps=[0,3]", "--timing=false", "--threads=1", "--quiet", "--out", "run",
	}
	t.Run("trained", func(t *testing.T) {
		for _, c := range []struct {
			file  string
			flags []string
			sites int
			said  []string // of what the exporter checked
		}{
			{"mlp.onnx", nil, 0, []string{"6 of its initializers", "no BatchNormalization and no dropout", "what ONNX Runtime gives"}},
			{"cnn.onnx", nil, 0, []string{"no BatchNormalization and no dropout"}},
			{"block.onnx", nil, 0, []string{"no BatchNormalization and no dropout"}},
			{"legacy.onnx", nil, 1, []string{"2 BatchNormalization nodes use the batch's statistics", "the same masks at 1 sites"}},
			{"half.onnx", nil, 0, []string{"3 of its initializers with 176 numbers"}},
			{"old.onnx", nil, 0, []string{"3 of its initializers with 176 numbers"}},
			{"hand.onnx", []string{"--input", "tokens=3:int:9", "--loss", "mse"}, 1, []string{
				"7 of its initializers", "2 for buffers", "1 dropout nodes draw nothing", "the same masks at 1 sites",
			}},
		} {
			t.Run(c.file, func(t *testing.T) {
				t.Parallel()
				if simpler := c.file == "mlp.onnx" || c.file == "old.onnx"; simpler && !*exhaustive {
					t.Skip("block.onnx and half.onnx have all that it has: -exhaustive compares it too")
				}
				args := append([]string{"run", filepath.Join(dir, c.file)}, c.flags...)
				status, stdout, stderr, out := realTandem(t, append(args, small...)...)
				if status != statusOK {
					t.Fatalf("status %d\n%s%s", status, stdout, stderr)
				}
				r, err := record.Read(filepath.Join(out, "run", compare.ResultFile))
				if err != nil {
					t.Fatal(err)
				}
				if r.Parity.Verdict != record.Pass || r.Model.DropoutSites != c.sites {
					t.Errorf("verdict %s, %d dropout sites: %q", r.Parity.Verdict, r.Model.DropoutSites, r.Parity.Reasons)
				}
				for _, want := range c.said {
					if checks := strings.Join(r.Model.ExporterChecks, "\n"); !strings.Contains(checks, want) {
						t.Errorf("the checks lack %q:\n%s", want, checks)
					}
				}
				forward := false
				for _, s := range r.Parity.Stages {
					forward = forward || s.Stage == record.StageForward && s.Checked > 0
				}
				if !forward {
					t.Error("no activation was judged")
				}
			})
		}
	})
	for file, want := range map[string]string{"fixed.onnx": "fixes its batch size", "odd.onnx": "Det"} {
		status, stdout, stderr, _ := realTandem(t, append([]string{"run", filepath.Join(dir, file)}, small...)...)
		if status != statusUsage || !strings.Contains(stderr, want) || !strings.Contains(stderr, file) {
			t.Errorf("%s: status %d, want %d and %q\n%s%s", file, status, statusUsage, want, stdout, stderr)
		}
	}
}

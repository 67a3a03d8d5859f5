package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// exhaustive is what "make test-long" sets: comparisons that take long and seldom tell what others do not.
var exhaustive = flag.Bool("exhaustive", false, "run the comparisons with PyTorch that differ little from others, and the judge's proof on every recording")

// TestMain makes this test binary into the programs that the scripts call: tandem itself, and the stand-ins for what
// stands behind it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tandem": main, "fake-exporter": fakeExporter, "fake-samples": fakeSamples, "fake-engine": fakeEngine})
}

// TestScripts runs testdata/script/*.txtar. Every script has a machine of its own: no data, no PyTorch, a Python that is
// testdata/python.sh and an empty folder for the environment, which "exec tandem setup" fills in milliseconds. The
// PyTorch engine of such a machine is the native trainer under another name.
func TestScripts(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in for Python is a shell script")
	}
	python, err := filepath.Abs("testdata/python.sh")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			for name, value := range map[string]string{
				"TANDEM_PYTHON": python, "TANDEM_ENV": filepath.Join(e.WorkDir, "env"), "TANDEM_DATA": "", "TANDEM_ONNXRUNTIME": "", "TANDEM_TORCH_INDEX": "",
				"XDG_CACHE_HOME": filepath.Join(e.WorkDir, "cache"), "HOME": filepath.Join(e.WorkDir, "home"), "NO_COLOR": "1",
				// The smallest comparison that the judge still has something to judge in.
				"BENCH": "--set data.source=synthetic --set data.train=128 --set data.test=16 --set train.epochs=5 --set optimizer.learning_rate=0.01 --set parity.judged_steps=[0] --set timing.blocks=10 --set timing.block_steps=2 --set timing.warm_up=2 --threads=1",
				"TINY":  "--set data.source=synthetic --set data.train=128 --set data.test=16 --set train.epochs=5 --set optimizer.learning_rate=0.01 --set parity.judged_steps=[0] --timing=false --threads=1",
			} {
				e.Setenv(name, value)
			}
			return nil
		},
		Condition: func(name string) (bool, error) {
			switch name {
			case "root":
				return os.Getuid() == 0, nil
			case "exhaustive":
				return *exhaustive, nil
			}
			return false, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status, "clean": clean, "json": isJSON,
		},
	})
}

// status is "status N PROGRAM ARGUMENTS...": it runs the program and wants that exit status. $TINY and $BENCH among the
// arguments stand for several.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N PROGRAM ARGUMENTS...")
	}
	var words []string
	for _, a := range args[2:] {
		if a == ts.Getenv("TINY") || a == ts.Getenv("BENCH") {
			words = append(words, strings.Fields(a)...)
		} else {
			words = append(words, a)
		}
	}
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], words...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%s: %v", args[1], err)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("%s ended with status %d, want %s", args[1], got, args[0])
	}
}

// clean is "clean FOLDER...": the folders hold nothing of a run that was given up, and neither does the temporary one.
func clean(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: clean FOLDER...")
	}
	for _, dir := range append(slices.Clone(args), ts.Getenv("TMPDIR")) {
		entries, err := os.ReadDir(ts.MkAbs(dir))
		if err != nil && !os.IsNotExist(err) {
			ts.Fatalf("%v", err)
		}
		for _, e := range entries {
			if strings.Contains(e.Name(), ".partial-") || strings.HasPrefix(e.Name(), "tandem-") {
				ts.Fatalf("%s was left in %s", e.Name(), dir)
			}
		}
	}
}

// isJSON is "json FILE": the file, or stdout, is one JSON document and nothing else.
func isJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: json FILE")
	}
	var v any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &v); err != nil {
		ts.Fatalf("%s: %v", args[0], err)
	}
}

//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/results/record"
)

// machine is a machine whose PyTorch is a stand-in, with an experiment of its own in the folder that tandem runs in.
type machine struct {
	t           *testing.T
	dir         string
	environment []string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	python, err := filepath.Abs("testdata/python.sh")
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, dir: t.TempDir()}
	m.environment = append(os.Environ(), "TANDEM_ENV="+t.TempDir(), "TANDEM_PYTHON="+python, "TANDEM_TORCH_INDEX=", "TMPDIR="+t.TempDir(), "TANDEM_ONNXRUNTIME=")
	builtin, err := os.ReadFile("../../fixtures/experiment/builtin/mnist-mlp.toml")
	if err != nil {
		t.Fatal(err)
	}
	m.write("small.toml", string(builtin))
	if status, said := m.call("setup", "--quiet"); status != 0 {
		t.Fatal(said)
	}
	return m
}

func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o666); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) command(args ...string) *exec.Cmd {
	cmd := exec.Command("tandem", args...)
	cmd.Dir, cmd.Env = m.dir, m.environment
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// call runs tandem to its end.
func (m *machine) call(args ...string) (status int, said string) {
	m.t.Helper()
	cmd := m.command(args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		m.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// kept is as much of an unfinished run's state as the tests look at.
type kept struct {
	Finished  []string       `json:"finished"`
	Mutants   map[string]any `json:"mutants"`
	Trainings []any          `json:"trainings"`
	// Locked says that the process that is to be stopped has taken the run for itself.
	Locked bool `json:"-"`
	Timing struct {
		Rounds struct{ Medians [][]float64 } `json:"rounds"`
	} `json:"timing"`
}

func (k kept) by(m *machine, process int) kept {
	holder, _ := os.ReadFile(filepath.Join(filepath.Dir(m.state()), "lock"))
	k.Locked = string(holder) == strconv.Itoa(process)
	return k
}

// state is the path of the unfinished run's state.
func (m *machine) state() string {
	for _, pattern := range []string{"run.unfinished*", ".run.partial-*"} {
		found, _ := filepath.Glob(filepath.Join(m.dir, pattern, "unfinished", "unfinished.json"))
		if len(found) == 1 {
			return found[0]
		}
	}
	return ""
}

// stop starts tandem and sends it the signal when that much is kept.
func (m *machine) stop(signal syscall.Signal, enough func(kept) bool, args ...string) string {
	m.t.Helper()
	cmd := m.command(args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	for {
		var k kept
		if text, err := os.ReadFile(m.state()); err == nil && json.Unmarshal(text, &k) == nil && enough(k.by(m, cmd.Process.Pid)) {
			if err := cmd.Process.Signal(signal); err != nil {
				m.t.Fatalf("it had ended: %v\n%s", err, said.String())
			}
			<-ended
			return said.String()
		}
		select {
		case <-ended:
			m.t.Fatalf("it ended before it could be stopped:\n%s", said.String())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// bench is a short run with everything in it.
var bench = []string{
	"run", "small.toml", "--set", "data.source=synthetic", "--set", "data.train=128", "--set", "data.test=16", "--set", "train.epochs=5", "--set", "optimizer.learning_rate=0.01",
	"--set", "parity.judged_steps=[0]", "--set", "timing.blocks=10", "--set", "timing.block_steps=2", "--set", "timing.warm_up=2", "--threads=1", "--prove", "--runs=4",
}

// TestResume kills one run at one place after the other, and compares what comes of it in the end with an undisturbed run.
func TestResume(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if status, said := m.call(append(slices.Clone(bench), "--out=whole")...); status != statusOK {
		t.Fatal(said)
	}
	m.stop(syscall.SIGKILL, func(k kept) bool { return slices.Contains(k.Finished, "reference trace") }, append(slices.Clone(bench), "--out=run")...)
	m.stop(syscall.SIGKILL, func(k kept) bool { return len(k.Mutants) > 3 }, "run", "--resume", "run")
	said := m.stop(syscall.SIGINT, func(k kept) bool { return len(k.Trainings) > 1 }, "run", "--resume", "run")
	if !strings.Contains(said, "going on with what is finished: reference trace, candidate trace, planted mistakes") || strings.Contains(said, "starting the reference") {
		t.Errorf("the third session said\n%s", said)
	}
	if !strings.Contains(said, "tandem: interrupted; finished and kept: ") || !strings.Contains(said, "tandem run --resume run.unfinished") {
		t.Errorf("an interrupted run must say how it is resumed; it said\n%s", said)
	}
	m.stop(syscall.SIGKILL, func(k kept) bool { return len(k.Timing.Rounds.Medians) > 2 }, "run", "--resume", "run.unfinished")
	status, said := m.call("run", "--resume", "run", "--quiet")
	if status != statusOK {
		t.Fatalf("status %d\n%s", status, said)
	}
	whole, resumed := m.record("whole"), m.record("run")
	for _, x := range []struct {
		what      string
		want, got any
	}{
		{"parity", whole.Parity, resumed.Parity},
		{"losses", whole.Loss, resumed.Loss},
		{"accuracy", whole.Accuracy, resumed.Accuracy},
		{"forward passes", whole.Forward, resumed.Forward},
		{"further trainings", whole.Runs, resumed.Runs},
		{"engines", whole.Engines, resumed.Engines},
		{"experiment", whole.Experiment, resumed.Experiment},
		{"model", whole.Model, resumed.Model},
		{"data", whole.Data, resumed.Data},
	} {
		if diff := cmp.Diff(x.want, x.got); diff != "" {
			t.Errorf("%s are not those of an undisturbed run (-want +got)\n%s", x.what, diff)
		}
	}
	for i, e := range slices.Concat([]record.EngineTiming{resumed.Timing.Reference, resumed.Timing.Candidate}, resumed.Timing.Modes) {
		if len(e.BlockMedians) != 10 || !(e.ColdStartSeconds > 0) {
			t.Errorf("contender %d (%s %s): %d blocks, cold start %v", i, e.Engine, e.Mode, len(e.BlockMedians), e.ColdStartSeconds)
		}
	}
	if resumed.Timing.Measured.N != 10 || resumed.Timing.Resolution.N != 10 || len(resumed.Memory) != 2 {
		t.Errorf("%d ratios, %d of the resolution, memory of %d engines", resumed.Timing.Measured.N, resumed.Timing.Resolution.N, len(resumed.Memory))
	}
	if len(resumed.Resumed) != 4 || whole.Resumed != nil || !strings.HasSuffix(resumed.Resumed[3].After, "further trainings, rounds of timing") {
		t.Errorf("the record says of its sessions: %+v", resumed.Resumed)
	}
	if !slices.ContainsFunc(resumed.Warnings, func(w string) bool { return strings.Contains(w, "of the 10 rounds were timed before the last one") }) {
		t.Errorf("the record does not warn of times from several sessions: %q", resumed.Warnings)
	}
	left, _ := filepath.Glob(filepath.Join(m.dir, ".*"))
	more, _ := filepath.Glob(filepath.Join(m.dir, "run.*"))
	within, _ := filepath.Glob(filepath.Join(m.dir, "run", "unfinished"))
	if left = slices.Concat(left, more, within); len(left) > 0 {
		t.Errorf("%v was left behind", left)
	}
	if status, said := m.call("run", "--resume", "run"); status != statusUsage || !strings.Contains(said, "run is a finished run: there is nothing to resume") {
		t.Errorf("status %d: %s", status, said)
	}
}

func (m *machine) record(dir string) *record.Run {
	m.t.Helper()
	r, err := record.Read(filepath.Join(m.dir, dir, "result.json"))
	if err != nil {
		m.t.Fatal(err)
	}
	return r
}

// TestResumeRefuses: what is not what it was is said by name, and the run is not mixed with another one.
func TestResumeRefuses(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.stop(syscall.SIGKILL, func(k kept) bool { return slices.Contains(k.Finished, "candidate trace") }, append(slices.Clone(bench), "--out=run")...)
	text, err := os.ReadFile(m.state())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		path []string
		want string
	}{
		{[]string{"setup", "program"}, "tandem itself differs:\n  SHA-256 of the program was"},
		{[]string{"setup", "tandem"}, "tandem itself differs:\n  version was something else, is "},
		{[]string{"setup", "directory"}, "the folder that tandem runs in differs:\n  it was something else, is " + m.dir},
		{[]string{"setup", "environment", "cpu"}, "the environment differs:\n  cpu was something else, is "},
		{[]string{"prepared", "model"}, "the model that PyTorch exports differs:\n  SHA-256 was something else"},
		{[]string{"prepared", "data", "train/input"}, "the data differs:\n  train/input was something else"},
		{[]string{"prepared", "threads"}, "the number of threads differs"},
		{[]string{"engines", "candidate", "version"}, "the candidate, engine native, differs:\n  version was something else, is "},
		{[]string{"schema"}, "is not what this tandem writes"},
	} {
		var whole map[string]any
		if err := json.Unmarshal(text, &whole); err != nil {
			t.Fatal(err)
		}
		at := whole
		for _, key := range x.path[:len(x.path)-1] {
			at = at[key].(map[string]any)
		}
		last := x.path[len(x.path)-1]
		switch at[last].(type) {
		case float64:
			at[last] = 7
		case string:
			at[last] = "something else"
		default:
			t.Fatalf("%v is %v", x.path, at[last])
		}
		changed, err := json.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(m.state(), changed, 0o666); err != nil {
			t.Fatal(err)
		}
		if status, said := m.call("run", "--resume", "run"); status != statusUsage || !strings.Contains(said, x.want) {
			t.Errorf("with %v changed: status %d, want %d and %q; it said\n%s", x.path, status, statusUsage, x.want, said)
		}
	}
	if err := os.WriteFile(m.state(), text, 0o666); err != nil {
		t.Fatal(err)
	}
	// The experiment's file was edited meanwhile.
	toml, err := os.ReadFile(filepath.Join(m.dir, "small.toml"))
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.Replace(string(toml), "batch = 32", "batch = 16", 1)
	if edited == string(toml) {
		t.Fatal("the experiment has no batch to edit")
	}
	m.write("small.toml", edited)
	if status, said := m.call("run", "--resume", "run"); status != statusUsage || !strings.Contains(said, "the experiment differs:\n  train.batch was 32, is 16") {
		t.Errorf("with another batch: status %d\n%s", status, said)
	}
	m.write("small.toml", string(toml))
	for args, want := range map[string]string{
		"run --resume run small.toml":      "name none",
		"run --resume run --threads 2":     "give no --threads",
		"run --resume nowhere":             "nowhere is no unfinished run, and there is none beside it",
		"bench --resume run --set seed=12": "give no --set",
	} {
		if status, said := m.call(strings.Fields(args)...); status != statusUsage || !strings.Contains(said, want) {
			t.Errorf("tandem %s: status %d, want %q\n%s", args, status, want, said)
		}
	}
	// Nothing of that has changed it, and while one session goes on with it no other can.
	said := m.stop(syscall.SIGINT, func(k kept) bool {
		if !k.Locked { // to ask before is to be in its way
			return false
		}
		status, said := m.call("run", "--resume", "run")
		return status == statusUsage && strings.Contains(said, "another tandem is at work on this run")
	}, "bench", "--resume", "run")
	if !strings.Contains(said, "tandem run --resume run.unfinished") {
		t.Errorf("it said\n%s", said)
	}
	if status, said := m.call("run", "--resume", "run", "--json"); status != statusOK || !strings.Contains(said, `"verdict": "PASS"`) {
		t.Errorf("status %d\n%s", status, said)
	}
}

// TestResumeSweep: the points that are finished are not made again.
func TestResumeSweep(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	arguments := slices.Concat([]string{"bench"}, bench[1:len(bench)-2], []string{"--sweep=batch=16,32,64", "--out=run"})
	said := m.stop(syscall.SIGINT, func(k kept) bool { return slices.Contains(k.Finished, "points of the sweep") }, arguments...)
	if !strings.Contains(said, "finished and kept: points of the sweep") {
		t.Errorf("it said\n%s", said)
	}
	status, said := m.call("bench", "--resume", "run")
	if status != statusOK || strings.Contains(said, "point 1 of 3") || !strings.Contains(said, "point 3 of 3") {
		t.Errorf("status %d\n%s", status, said)
	}
	s, err := record.ReadSweep(filepath.Join(m.dir, "run", "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]bool{}
	for _, p := range s.Points {
		values[p.Values[0]] = p.Verdict == record.Pass
	}
	if want := map[string]bool{"16": true, "32": true, "64": true}; !maps.Equal(values, want) || len(s.Resumed) != 1 {
		t.Errorf("the points are %v, resumed %+v", values, s.Resumed)
	}
}

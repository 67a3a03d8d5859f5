//go:build unix

package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"tandem/pytorch"
)

// interrupted starts tandem, sends it SIGINT when it has said the line and, if kept is set, has kept a finished part after that, and returns its exit status and what it wrote. Everything that it
// had started must be gone by then, and so must its files, but for what it says that is kept.
func interrupted(t *testing.T, line string, kept bool, environment []string, args ...string) (int, string) {
	t.Helper()
	cmd := exec.Command("tandem", args...)
	cmd.Dir = t.TempDir()
	temporary := t.TempDir()
	cmd.Env = append(append(os.Environ(), environment...), "TMPDIR="+temporary)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the terminal's Ctrl-C must not reach the test
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }()
	var said strings.Builder
	var children []*process.Process
	for s := bufio.NewScanner(stderr); s.Scan(); {
		said.WriteString(s.Text() + "\n")
		if len(children) == 0 && strings.Contains(s.Text(), line) {
			for wait := 0; kept && wait < 3000; wait++ { // what follows the line may take long, under the race detector
				if parts, _ := filepath.Glob(filepath.Join(cmd.Dir, "runs", ".*", "unfinished", "unfinished.json")); len(parts) > 0 {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
			// What it said may be what it is about to do.
			for wait := 0; len(children) == 0 && wait < 500; wait++ {
				time.Sleep(20 * time.Millisecond)
				children = descendants(int32(cmd.Process.Pid))
			}
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // the status is looked at below
	if len(children) == 0 {
		t.Fatalf("tandem had started nothing when it said %q, so nothing was tested:\n%s", line, said.String())
	}
	for _, c := range children {
		// A killed orphan may wait a moment for its new parent.
		for wait := 0; ; wait++ {
			if running, err := c.IsRunning(); err != nil || !running {
				break
			}
			if wait == 100 {
				t.Errorf("process %d was left running", c.Pid)
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	// Libraries of the other engine may leave things of their own in the temporary folder.
	left, _ := filepath.Glob(filepath.Join(temporary, "tandem-*"))
	runs, _ := filepath.Glob(filepath.Join(cmd.Dir, "runs", "*"))
	hidden, _ := filepath.Glob(filepath.Join(cmd.Dir, "runs", ".*"))
	runs = slices.DeleteFunc(runs, func(path string) bool {
		return strings.HasSuffix(path, ".unfinished") && strings.Contains(said.String(), "--resume runs/"+filepath.Base(path))
	})
	if left = slices.Concat(left, runs, hidden); len(left) > 0 {
		t.Errorf("%v was left behind", left)
	}
	if stdout.Len() > 0 {
		t.Errorf("standard output has %q", stdout.String())
	}
	return cmd.ProcessState.ExitCode(), said.String()
}

// descendants are the processes below one. One that has ended since it was listed has none.
func descendants(pid int32) []*process.Process {
	p, err := process.NewProcess(pid)
	if err != nil {
		return nil
	}
	children, err := p.Children()
	if err != nil {
		return nil
	}
	all := slices.Clone(children)
	for _, c := range children {
		all = append(all, descendants(c.Pid)...)
	}
	return all
}

func TestInterrupt(t *testing.T) {
	python, err := filepath.Abs("testdata/python.sh")
	if err != nil {
		t.Fatal(err)
	}
	tiny := []string{"run", "mnist-mlp", "--set", "data.source=synthetic", "--set", "data.train=64", "--set", "data.test=16", "--timing=false", "--threads=1"}
	for _, test := range []struct {
		name, fault, line string
		kept              bool
		args              []string
		says              string
	}{
		// Both hang in the first gradient, so that the signal comes while a command waits for its answer.
		{"reference", "hang", "starting the reference", false, nil, "tandem: interrupted; nothing was written"},
		{"candidate", "", "training (nudged)", true, []string{"--candidate", "fake-engine hang"}, "tandem: interrupted; finished and kept: reference trace; to go on with the rest: tandem run --resume runs/"},
		{"start of an engine", "mute", "starting the reference", false, nil, "tandem: interrupted; nothing was written"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			environment := []string{"TANDEM_ENV=" + t.TempDir(), "TANDEM_PYTHON=" + python, "TANDEM_TORCH_INDEX=", "FAKE_PYTORCH=" + test.fault}
			setup := exec.Command("tandem", "setup", "--quiet")
			setup.Env = append(os.Environ(), environment...)
			if out, err := setup.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			status, said := interrupted(t, test.line, test.kept, environment, append(slices.Clone(tiny), test.args...)...)
			if status != statusTrouble || !strings.Contains(said, test.says) {
				t.Errorf("status %d, want %d; it said\n%s", status, statusTrouble, said)
			}
		})
	}
}

// located is the environment with PyTorch. Without one the test is skipped, unless TANDEM_REQUIRE names pytorch.
func located(t *testing.T) *pytorch.Environment {
	t.Helper()
	env, err := pytorch.Locate()
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("TANDEM_REQUIRE"), ","), "pytorch") {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return env
}

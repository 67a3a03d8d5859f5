//go:build unix

package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/results/engine"
)

// quick ends what hangs soon. Nothing that is expected to answer is given it as its only chance: the limits of the
// commands that must succeed stay the default.
func quick(hangs string) engine.Options {
	return engine.Options{
		Timeout: func(command string, steps int) time.Duration {
			if command == hangs {
				return 50 * time.Millisecond
			}
			return engine.DefaultTimeout(command, steps)
		},
		Grace: 500 * time.Millisecond,
	}
}

func start(t *testing.T, act string, opts engine.Options) *engine.Client {
	t.Helper()
	c, err := engine.Start(t.Context(), command(act), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// running reports whether a process runs. A zombie, which a grandchild becomes where nobody reaps orphans, does not.
func running(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	out, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return false
		}
		out = stat[bytes.LastIndexByte(stat, ')')+1:]
	}
	return !bytes.HasPrefix(bytes.TrimSpace(out), []byte("Z"))
}

// assertReaped fails when the engine's process is there, as a zombie or otherwise.
func assertReaped(t *testing.T, pid int) {
	t.Helper()
	if pid <= 0 {
		t.Fatalf("process number %d: the engine never said who it is", pid)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d of the engine is still there (%v)", pid, err)
	}
}

// assertGone waits for a process that is not this one's child: nobody says when its kill took effect.
func assertGone(t *testing.T, pid int) {
	t.Helper()
	if pid <= 0 {
		t.Fatalf("process number %d: there was no process to end", pid)
	}
	for range 500 {
		if !running(pid) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d still runs", pid)
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func child(t *testing.T, c *engine.Client) int {
	t.Helper()
	pid, err := strconv.Atoi(c.Hello().Versions["child"])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestFailuresAtStart(t *testing.T) {
	tests := []struct {
		act, reason string
		fault       error
		want        []string
	}{
		{"traceback", "PyTorch is missing", engine.ErrCrashed, []string{"exit status 1", "hello", "No module named 'torch'"}},
		{"deaf", "a program that is no engine waits for something else", engine.ErrHung, []string{"no answer after 50ms"}},
		{"version", "an engine of another time", engine.ErrVersion, []string{"version 99", "tandem 1"}},
		{"nameless", "reports name engines", engine.ErrGarbled, []string{"no name"}},
	}
	for _, test := range tests {
		t.Run(test.act, func(t *testing.T) {
			hangs := ""
			if test.act == "deaf" {
				hangs = "hello"
			}
			cmd := command(test.act)
			c, err := engine.Start(t.Context(), cmd, quick(hangs))
			check(t, err, test.fault, test.want, test.reason)
			if c != nil {
				t.Error("a client was returned with the error")
			}
			assertReaped(t, cmd.Process.Pid)
		})
	}
}

func TestStartRefuses(t *testing.T) {
	if _, err := engine.Start(t.Context(), exec.Command("/nonexistent/engine"), engine.Options{}); !errors.Is(err, engine.ErrStart) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing program gives %v", err)
	}
	cmd := command("linear")
	cmd.Stdout = os.Stdout
	if _, err := engine.Start(t.Context(), cmd, engine.Options{}); !errors.Is(err, engine.ErrStart) {
		t.Errorf("a command with a standard output gives %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cmd = command("linear")
	if _, err := engine.Start(ctx, cmd, engine.Options{}); !errors.Is(err, context.Canceled) || cmd.Process != nil {
		t.Errorf("a cancelled context gives %v and process %v", err, cmd.Process)
	}
}

// check holds what every failure must say.
func check(t *testing.T, err, fault error, want []string, reason string) {
	t.Helper()
	var f *engine.Failure
	if !errors.As(err, &f) || !errors.Is(err, fault) {
		t.Fatalf("got %v, want a Failure of the kind %q (%s)", err, fault, reason)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not hold %q (%s)", err, w, reason)
		}
	}
	if f.Engine == "" || f.Command == "" {
		t.Errorf("engine %q, command %q: both must be named", f.Engine, f.Command)
	}
}

func TestFailures(t *testing.T) {
	tests := []struct {
		act, reason string
		fault       error
		want        []string
	}{
		{"exit3", "an uncaught exception", engine.ErrCrashed, []string{"engine actor crashed", `"step"`, "exit status 3", "boom"}},
		{"kill", "the system kills what takes too much memory", engine.ErrCrashed, []string{"signal: killed", "memory runs out"}},
		{"exit0", "a script that ends early", engine.ErrEnded, []string{"exit status 0"}},
		{"mute", "standard output closed by a library", engine.ErrEnded, []string{"ran on"}},
		{"hang", "a deadlock", engine.ErrHung, []string{"no answer after 50ms", "thinking"}},
		{"garbage", "a print in the model", engine.ErrGarbled, []string{"epoch 1: loss 2.3", "standard output"}},
		{"id", "answers out of order", engine.ErrGarbled, []string{"id 7", "request has 2"}},
		{"nothing", "absence is no success", engine.ErrGarbled, []string{"neither a result nor an error"}},
		{"both", "contradiction", engine.ErrGarbled, []string{"a result and an error"}},
		{"kind", "three kinds exist", engine.ErrGarbled, []string{`kind "mood"`}},
		{"misfit", "another type", engine.ErrGarbled, []string{"does not fit"}},
		{"short", "one loss for two steps", engine.ErrGarbled, []string{"2 steps were asked for", "1 losses"}},
		{"backwards", "no clock runs backwards", engine.ErrGarbled, []string{"took -1 seconds"}},
		{"oversize", "tensors in the JSON, without end", engine.ErrOversize, []string{"more than", "aaa"}},
		{"half", "killed while writing", engine.ErrGarbled, []string{"not a line of the protocol"}},
		{"flood", "a progress bar in a wrong encoding", engine.ErrCrashed, []string{"exit status 5", "last words"}},
		{"child-exit3", "worker processes outlive a crash", engine.ErrCrashed, []string{"exit status 3"}},
		{"child-hang", "worker processes outlive a kill", engine.ErrHung, nil},
		{"child-garbage", "worker processes outlive a bad line", engine.ErrGarbled, nil},
	}
	for _, test := range tests {
		t.Run(test.act, func(t *testing.T) {
			hangs := ""
			if strings.HasSuffix(test.act, "hang") {
				hangs = "step"
			}
			c := start(t, test.act, quick(hangs))
			r, err := c.Step(t.Context(), 2)
			check(t, err, test.fault, test.want, test.reason)
			if r != nil {
				t.Errorf("a result %v came with the error", r)
			}
			assertReaped(t, c.Hello().PID)
			if strings.HasPrefix(test.act, "child-") {
				assertGone(t, child(t, c))
			}
			var f *engine.Failure
			errors.As(err, &f)
			if len(f.Stderr) > 20 {
				t.Errorf("%d lines of standard error, want 20 at most", len(f.Stderr))
			}
			for _, line := range f.Stderr {
				if strings.ContainsAny(line, "\x1b\x00\r\n") || len([]rune(line)) > 500 || strings.ToValidUTF8(line, "") != line {
					t.Errorf("standard error %.80q is not safe to show", line)
				}
			}
			// The engine stays gone, and says so.
			if _, err := c.Memory(t.Context()); !errors.Is(err, engine.ErrGone) || !strings.Contains(err.Error(), "step") {
				t.Errorf("the next command gives %v, want ErrGone with the first cause", err)
			}
			if err := c.Close(); err != nil {
				t.Errorf("Close repeats the failure: %v", err)
			}
		})
	}
}

func TestRefusalLeavesTheEngineAlive(t *testing.T) {
	c := start(t, "refuse", quick(""))
	_, err := c.Load(t.Context(), engine.LoadParams{})
	var e *engine.Error
	if !errors.As(err, &e) || e.Kind != engine.KindUnsupported || e.Detail != "trace" {
		t.Fatalf("got %#v, want the engine's error", err)
	}
	var r *engine.Refusal
	if !errors.As(err, &r) || r.Command != "load" || r.Engine != "actor" || !strings.Contains(err.Error(), "operator Foo") {
		t.Errorf("got %v, want a Refusal that names engine, command and node", err)
	}
	// A field that this version does not know is passed over.
	if s, err := c.SetState(t.Context(), "state"); err != nil || s.Step != 5 {
		t.Errorf("set_state after a refusal: %v, %v", s, err)
	}
	if err := c.Save(t.Context(), "model"); err != nil {
		t.Errorf("save has no result, and %v", err)
	}
}

func TestCancelEndsTheWholeTree(t *testing.T) {
	t.Run("of the command", func(t *testing.T) {
		c := start(t, "child-hang", quick(""))
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("interrupted by the user")
		time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
		_, err := c.Step(ctx, 1)
		check(t, err, engine.ErrCancelled, nil, "Ctrl-C")
		if !errors.Is(err, cause) {
			t.Errorf("%v does not wrap the cause", err)
		}
		assertReaped(t, c.Hello().PID)
		assertGone(t, child(t, c))
	})
	t.Run("of the start, during a command", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c, err := engine.Start(ctx, command("child-hang"), quick(""))
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(20*time.Millisecond, cancel)
		_, err = c.Step(t.Context(), 1)
		check(t, err, engine.ErrCancelled, nil, "Ctrl-C")
		assertReaped(t, c.Hello().PID)
		assertGone(t, child(t, c))
	})
	t.Run("of the start, between commands", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c, err := engine.Start(ctx, command("child-hang"), quick(""))
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := c.Close(); err != nil {
			t.Errorf("Close after a cancel: %v", err)
		}
		assertReaped(t, c.Hello().PID)
		assertGone(t, child(t, c))
	})
	t.Run("of the start, before hello", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cmd := command("deaf")
		time.AfterFunc(20*time.Millisecond, cancel)
		_, err := engine.Start(ctx, cmd, quick(""))
		check(t, err, engine.ErrCancelled, nil, "Ctrl-C")
		assertReaped(t, cmd.Process.Pid)
	})
}

func TestClose(t *testing.T) {
	t.Run("ends a good engine", func(t *testing.T) {
		c := start(t, "linear", engine.Options{})
		if _, err := c.Step(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := c.Step(t.Context(), 3); !errors.Is(err, engine.ErrGone) {
			t.Errorf("a step after Close gives %v, want ErrGone", err)
		}
	})
	tests := []struct {
		act, reason string
		fault       error
		want        string
	}{
		{"stay", "a thread that is not a daemon", engine.ErrHung, "ran on"},
		{"sorry", "an exit handler that fails", engine.ErrCrashed, "exit status 6"},
		{"exit3", "crashes at quit", engine.ErrCrashed, "exit status 3"},
		{"hang", "never answers quit", engine.ErrHung, "no answer"},
		{"child-sorry", "leaves a worker behind", engine.ErrCrashed, "exit status 6"},
	}
	for _, test := range tests {
		t.Run(test.act, func(t *testing.T) {
			hangs := ""
			if test.act == "hang" {
				hangs = "quit"
			}
			c := start(t, test.act, quick(hangs))
			check(t, c.Close(), test.fault, []string{test.want, "quit"}, test.reason)
			assertReaped(t, c.Hello().PID)
			if strings.HasPrefix(test.act, "child-") {
				assertGone(t, child(t, c))
			}
		})
	}
}

func TestStderrIsPassedOn(t *testing.T) {
	var tee bytes.Buffer
	c := start(t, "exit3", engine.Options{Stderr: &tee})
	if _, err := c.Step(t.Context(), 1); err == nil {
		t.Fatal("no error")
	}
	if tee.String() != "boom\n" {
		t.Errorf("passed on %q", tee.String())
	}
}

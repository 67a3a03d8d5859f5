//go:build unix

package main

import (
	"os"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"tandem/fixtures/experiment"
	"tandem/pytorch"
	"tandem/results/compare"
	"tandem/results/engine"
)

const (
	// idleTime is how long an engine is left alone, and idleLimit the processor time that it may use in it: a few ticks of the
	// system's clock, of 10 ms each. One thread that spins uses all of it, on a busy machine still a third.
	idleTime  = 500 * time.Millisecond
	idleLimit = 30 * time.Millisecond
	// settleTime is more than a thread looks for work before it sleeps.
	settleTime = 100 * time.Millisecond
)

// idle trains a little with two threads, leaves the engine alone and returns the processor time that it used then, and before.
func idle(t *testing.T, name string, env *pytorch.Environment) (waiting, working time.Duration) {
	t.Helper()
	e, err := experiment.Load("mnist-mlp", experiment.Setting{Key: "data.source", Value: "synthetic"}, experiment.Setting{Key: "data.train", Value: "64"},
		experiment.Setting{Key: "data.test", Value: "16"}, experiment.Setting{Key: "train.epochs", Value: "1"})
	if err != nil {
		t.Fatal(err)
	}
	folder, err := compare.NewFolder(t.TempDir(), compare.ResultFile)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Discard()
	o := &compare.Options{Experiment: e, Folder: folder}
	if err := prepareData(t.Context(), o, &progress{}); err != nil {
		t.Fatal(err)
	}
	recording, err := openRecording("mnist-mlp")
	if err != nil {
		t.Fatal(err)
	}
	if err := recordedModel(recording, o); err != nil {
		t.Fatal(err)
	}
	settings := folder.WorkFile("experiment.json")
	text, err := e.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(settings, text, 0o666); err != nil {
		t.Fatal(err)
	}
	cmd, err := engineCommand(name, env, 2)
	if err != nil {
		t.Fatal(err)
	}
	client, err := engine.Start(t.Context(), cmd, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Load(t.Context(), engine.LoadParams{Experiment: settings, Model: o.ModelFile, Data: o.Data.File, Threads: 2, Random: engine.RandomOwn}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Step(t.Context(), 200); err != nil {
		t.Fatal(err)
	}
	p, err := process.NewProcess(int32(client.Hello().PID))
	if err != nil {
		t.Fatal(err)
	}
	used := func() time.Duration {
		times, err := p.Times()
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration((times.User + times.System) * float64(time.Second))
	}
	time.Sleep(settleTime)
	working = used()
	time.Sleep(idleTime)
	return used() - working, working
}

// An engine that waits for a command uses no processor time: what another engine is timed beside it would be slower for it.
func TestIdleEnginesUseNoProcessor(t *testing.T) {
	for _, name := range []string{"tandem engine native", enginePyTorch} {
		t.Run(name, func(t *testing.T) {
			var env *pytorch.Environment
			if name == enginePyTorch {
				env = located(t)
			}
			waiting, working := idle(t, name, env)
			if working == 0 {
				t.Fatal("no processor time was seen while it worked, so nothing is measured")
			}
			if waiting > idleLimit {
				t.Errorf("it used %v of processor time in %v of waiting, %v is allowed", waiting, idleTime, idleLimit)
			}
		})
	}
}

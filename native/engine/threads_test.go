package engine_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"tandem/fixtures/reference"
	native "tandem/native/engine"
	"tandem/onnx/safetensors"
	"tandem/results/engine"
	"tandem/results/trace"
)

// longestTraining is the number of steps after which a training is long enough to tell.
const longestTraining = 400

// TestThreadsDoNotChangeTheBits: of every recorded built-in experiment, and of models with what those lack, the whole training ends with the same
// state to the last bit, run after run and for any number of threads.
func TestThreadsDoNotChangeTheBits(t *testing.T) {
	for _, name := range reference.Names() {
		t.Run(name, func(t *testing.T) {
			recording, err := reference.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			ref, err := trace.ReadReference(recording)
			if err != nil {
				t.Fatal(err)
			}
			sameBits(t, recordedLoad(t, recording, ref), min(len(ref.Losses), longestTraining))
		})
	}
	for name, net := range map[string]network{
		"convolution": {first: first, second: second, activation: "Relu", convolution: true},
		"attention":   {first: first, second: second, activation: "Gelu", words: true, attention: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetting(t, net)
			sameBits(t, s.load, s.steps)
		})
	}
}

// sameBits trains with some numbers of threads, with the first one twice.
func sameBits(t *testing.T, load engine.LoadParams, steps int) {
	t.Helper()
	type outcome struct {
		digests map[string]string
		losses  []engine.Float
	}
	train := func(threads int) (o outcome) {
		n := native.New("test")
		load.Threads = threads
		if _, err := n.Load(context.Background(), load); err != nil {
			t.Fatal(err)
		}
		r, err := n.Step(context.Background(), steps)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), fmt.Sprintf("state-%d.safetensors", threads))
		if _, err := n.GetState(context.Background(), file); err != nil {
			t.Fatal(err)
		}
		state, err := safetensors.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		o.digests, o.losses = map[string]string{}, r.Losses
		for name, v := range state.Tensors {
			o.digests[name] = v.SHA256()
		}
		return o
	}
	want := train(1)
	if len(want.digests) < 5 || len(want.losses) != steps {
		t.Fatalf("%d tensors after %d steps", len(want.digests), len(want.losses))
	}
	if want.losses[0] == want.losses[steps-1] {
		t.Fatal("nothing was trained")
	}
	for _, threads := range []int{1, 2, 3, 4} {
		got := train(threads)
		if !slices.Equal(got.losses, want.losses) {
			t.Errorf("%d threads: other losses than with one", threads)
		}
		for name, digest := range want.digests {
			if got.digests[name] != digest {
				t.Errorf("%d threads: %s has other bits than with one", threads, name)
			}
		}
	}
}

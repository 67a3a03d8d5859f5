package record_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tandem/results/record"
	"tandem/results/record/recordtest"
)

var built = map[string]func() *record.Run{
	"faster": recordtest.Faster, "slower": recordtest.Slower, "failed": recordtest.Failed,
	"undecided": recordtest.Undecided, "checked": recordtest.Checked,
}

func TestWriteReadGivesTheSameRecord(t *testing.T) {
	for name, build := range built {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "result.json")
			want := build()
			if err := record.Write(path, want); err != nil {
				t.Fatal(err)
			}
			got, err := record.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("read differs from written (-want +got):\n%s", diff)
			}
			first, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			again, err := record.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first, again) {
				t.Error("writing what was read gives other bytes")
			}
			if !bytes.HasPrefix(first, []byte("{\n  \"schema\": \"tandem.result/1\",\n")) {
				t.Errorf("starts with %.60q", first)
			}
		})
	}
}

// equateNaN compares floats by their value, and NaN as equal to itself.
var equateNaN = cmp.Comparer(func(a, b record.Float) bool { return a == b || a != a && b != b })

func TestNaNAndInfinitiesSurvive(t *testing.T) {
	want := recordtest.Failed()
	want.Loss.Candidate[10] = record.Float(math.NaN())
	want.Loss.Candidate[11] = record.Float(math.Inf(1))
	want.Loss.Candidate[12] = record.Float(math.Inf(-1))
	want.Parity.Steps[0].Gradients[0].Rho = record.Float(math.Inf(1))
	path := filepath.Join(t.TempDir(), "result.json")
	if err := record.Write(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := record.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, equateNaN, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("read differs from written (-want +got):\n%s", diff)
	}
	if !math.IsNaN(float64(got.Loss.Candidate[10])) || !math.IsInf(float64(got.Loss.Candidate[12]), -1) {
		t.Errorf("got %v, want NaN and the infinities", got.Loss.Candidate[10:13])
	}
}

func TestReadRefuses(t *testing.T) {
	whole, err := record.Marshal(recordtest.Faster())
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) string {
		s := strings.Replace(string(whole), old, new, 1)
		if s == string(whole) {
			t.Fatalf("%q does not occur in the record", old)
		}
		return s
	}
	tests := []struct {
		label, content, want, reason string
	}{
		{"empty", "", "is empty", "an interrupted copy leaves an empty file"},
		{"blank", " \n", "is empty", "white space is no record"},
		{"truncated", string(whole[:len(whole)/2]), "is cut short", "a partial copy"},
		{"cut inside a number", `{"schema": "tandem/1", "x": 0.`, "is cut short", "the decoder takes it for a wrong character"},
		{"last byte missing", string(whole[:len(whole)-2]), "is cut short", "the closing brace is part of the record"},
		{"not JSON", "epoch,loss\n1,2.3\n", "is not JSON", "a table of another program"},
		{"ONNX", "\x08\x08\x12\x07pytorch", "is not JSON", "the wrong file of the run's folder"},
		{"array", "[1, 2]", "not a tandem result", "JSON of another shape"},
		{"null", "null", `no field "schema"`, "JSON's null fits every type"},
		{"foreign", `{"version": 3}`, `no field "schema"`, "JSON of another program"},
		{"foreign schema", `{"schema": "hyperfine/1"}`, `a tandem result has "tandem.result/1"`, "another program may use the same key"},
		{"newer", `{"schema": "tandem.result/2", "loss": 3}`, "newer tandem", "the version is checked before the types"},
		{"older", `{"schema": "tandem.result/0"}`, "is no version", "versions start at 1"},
		{"no version", `{"schema": "tandem.result"}`, "is no version", "the version is part of the schema"},
		{"trailing data", string(whole) + "{}", "is not JSON", "two records in one file are none"},
		{"wrong type", replace(`"threads": 1`, `"threads": "one"`), "does not fit schema", "a hand-edited field"},
		{"claim without PASS", replace(`"verdict": "PASS"`, `"verdict": "FAIL"`), "timing.speedup is claimed although the verdict is FAIL", "an edited verdict"},
	}
	for _, test := range tests {
		t.Run(test.label, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "result.json")
			if err := os.WriteFile(path, []byte(test.content), 0o644); err != nil {
				t.Fatal(err)
			}
			r, err := record.Read(path)
			if err == nil || r != nil {
				t.Fatalf("read it, although: %s", test.reason)
			}
			if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %q does not hold %q and the path (%s)", err, test.want, test.reason)
			}
		})
	}
	if _, err := record.Read(filepath.Join(t.TempDir(), "absent.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent file gives %v, want os.ErrNotExist", err)
	}
}

func TestReadPassesOverUnknownFields(t *testing.T) {
	whole, err := record.Marshal(recordtest.Checked())
	if err != nil {
		t.Fatal(err)
	}
	later := bytes.Replace(whole, []byte(`"command"`), []byte(`"added_later": {"a": [1]}, "command"`), 1)
	if _, err := record.Unmarshal(later); err != nil {
		t.Errorf("a field added without a new version is refused: %v", err)
	}
}

func TestWriteRefusesAndLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "result.json")
	if err := record.Write(path, recordtest.Faster()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lie := recordtest.Faster()
	lie.Parity.Verdict = record.Inconclusive
	var ve *record.ValidationError
	if err := record.Write(path, lie); !errors.As(err, &ve) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want a ValidationError with the path", err)
	}
	if err := record.Write(path, nil); err == nil {
		t.Error("wrote no record at all")
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Error("a refused record changed the file")
	}
}

func FuzzRead(f *testing.F) {
	for _, build := range built {
		r := build()
		// Short curves keep the mutations near the structure.
		r.Command, r.Loss.Reference, r.Loss.Candidate, r.Loss.Envelope = "check", r.Loss.Reference[:3], r.Loss.Candidate[:3], nil
		r.Model.Tensors, r.Data.SHA256, r.Parity.FinalWeights = r.Model.Tensors[:1], nil, nil
		r.Parity.Steps = r.Parity.Steps[:1]
		step := &r.Parity.Steps[0]
		step.Gradients, step.Update, step.Outputs, step.WholeStep = step.Gradients[:1], step.Update[:1], nil, nil
		data, err := record.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/3])
	}
	f.Add([]byte(`{"schema":"tandem.result/1"}`))
	f.Add([]byte(`{"schema":"tandem.result/1","engines":[{},{}],"timing":{"speedup":{}}}`))
	f.Add([]byte(`{"schema":"tandem.result/2"}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := record.Unmarshal(data)
		if err != nil {
			return
		}
		if r.Timing != nil && r.Timing.Speedup != nil && r.Parity.Verdict != record.Pass {
			t.Fatal("read a speed-up without a PASS")
		}
		once, err := record.Marshal(r)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		r2, err := record.Unmarshal(once)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		twice, err := record.Marshal(r2)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(once, twice) {
			t.Error("writing twice gives other bytes")
		}
	})
}

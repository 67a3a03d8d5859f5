package tensorboard

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"tandem/results/record"
	"tandem/results/record/recordtest"
)

// TestChecksum: the examples of RFC 3720, B.4, and the mask's definition.
func TestChecksum(t *testing.T) {
	ascending := make([]byte, 32)
	for i := range ascending {
		ascending[i] = byte(i)
	}
	for _, test := range []struct {
		data []byte
		sum  uint32
	}{{make([]byte, 32), 0x8a9136aa}, {slices.Repeat([]byte{0xff}, 32), 0x62a8ab43}, {ascending, 0x46dd794e}} {
		if got := crc32.Checksum(test.data, castagnoli); got != test.sum {
			t.Errorf("CRC-32C %#x, want %#x", got, test.sum)
		}
		want := (test.sum>>15 | test.sum<<17) + 0xa282ead8
		if got := masked(test.data); got != want {
			t.Errorf("masked %#x, want %#x", got, want)
		}
	}
}

// event is what a reader finds.
type read struct {
	wallTime    float64
	step        int64
	fileVersion string
	tag         string
	value       float32
}

// readEvents reads an event file by the format's definition alone.
func readEvents(t *testing.T, path string) []read {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []read
	for len(data) > 0 {
		if len(data) < 12 || binary.LittleEndian.Uint32(data[8:]) != masked(data[:8]) {
			t.Fatalf("%s: record %d: the length's checksum is wrong", path, len(out))
		}
		n := binary.LittleEndian.Uint64(data)
		body := data[12 : 12+n]
		if binary.LittleEndian.Uint32(data[12+n:]) != masked(body) {
			t.Fatalf("%s: record %d: the data's checksum is wrong", path, len(out))
		}
		data = data[16+n:]
		out = append(out, readEvent(t, body))
	}
	return out
}

func readEvent(t *testing.T, b []byte) read {
	t.Helper()
	var e read
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		switch kind {
		case protowire.Fixed64Type:
			v, n := protowire.ConsumeFixed64(b)
			e.wallTime, b = math.Float64frombits(v), b[n:]
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(b)
			e.step, b = int64(v), b[n:]
		case protowire.Fixed32Type:
			v, n := protowire.ConsumeFixed32(b)
			e.value, b = math.Float32frombits(v), b[n:]
		case protowire.BytesType:
			v, n := protowire.ConsumeBytes(b)
			b = b[n:]
			switch number {
			case eventFileVersion:
				e.fileVersion = string(v)
			case eventSummary: // of one value
				_, _, head := protowire.ConsumeTag(v)
				value, _ := protowire.ConsumeBytes(v[head:])
				inner := readValue(t, value)
				e.tag, e.value = inner.tag, inner.value
			}
		}
	}
	return e
}

func readValue(t *testing.T, b []byte) read {
	t.Helper()
	var e read
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		b = b[n:]
		switch {
		case number == valueTag && kind == protowire.BytesType:
			v, n := protowire.ConsumeString(b)
			e.tag, b = v, b[n:]
		case number == valueSimpleValue && kind == protowire.Fixed32Type:
			v, n := protowire.ConsumeFixed32(b)
			e.value, b = math.Float32frombits(v), b[n:]
		default:
			t.Fatalf("field %d of a value", number)
		}
	}
	return e
}

func files(t *testing.T, dir string) (reference, candidate string) {
	t.Helper()
	find := func(role record.Role) string {
		found, err := filepath.Glob(filepath.Join(dir, string(role), "*tfevents*"))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v, %v", role, found, err)
		}
		return found[0]
	}
	return find(record.Reference), find(record.Candidate)
}

func TestWriteHasEveryValue(t *testing.T) {
	r := recordtest.Faster()
	r.Loss.Candidate[9] = record.Float(math.NaN())
	dir := t.TempDir()
	for range 2 { // the second time replaces the first
		if err := Write(dir, r); err != nil {
			t.Fatal(err)
		}
	}
	a, b := files(t, dir)
	for _, x := range []struct {
		file   string
		losses []record.Float
		want   map[string]float32 // some other values, by tag and step
		count  int
	}{
		{a, r.Loss.Reference, map[string]float32{"test accuracy 784": float32(r.Accuracy.Reference)}, 785 + 1},
		// 5 steps with a loss; 6 gradients, 3 outputs, 6 updates and 6 whole steps, each with rho and gap.
		{b, r.Loss.Candidate, map[string]float32{
			"test accuracy 784":                    float32(r.Accuracy.Candidate),
			"envelope 300":                         float32(r.Loss.Envelope[300]),
			"rho/gradients/net.0.weight 157":       float32(r.Parity.Steps[2].Gradients[0].Rho),
			"float64 gap/gradients/net.0.bias 0":   float32(*r.Parity.Steps[0].Gradients[1].Float64Gap),
			"rho/update/parameters/net.0.weight 1": float32(r.Parity.Steps[1].Update[0].Rho),
		}, 785 + 785 + 1 + 5*(1+2*(6+3+6+6))},
	} {
		events := readEvents(t, x.file)
		if events[0].fileVersion != "brain.Event:2" {
			t.Errorf("%s begins with %+v", x.file, events[0])
		}
		events = events[1:]
		if len(events) != x.count {
			t.Errorf("%s has %d values, want %d", x.file, len(events), x.count)
		}
		losses := 0
		for _, e := range events {
			if e.wallTime != float64(r.Started.Unix()) {
				t.Fatalf("the time is %v", e.wallTime)
			}
			if e.tag == "loss" {
				losses++
				if want := float32(x.losses[e.step]); e.value != want && e.value == e.value {
					t.Errorf("the loss of step %d is %v, want %v", e.step, e.value, want)
				}
			}
			key := fmt.Sprintf("%s %d", e.tag, e.step)
			if want, ok := x.want[key]; ok {
				if e.value != want {
					t.Errorf("%s is %v, want %v", key, e.value, want)
				}
				delete(x.want, key)
			}
		}
		if losses != 785 || len(x.want) > 0 {
			t.Errorf("%s has %d losses and lacks %v", x.file, losses, x.want)
		}
	}
}

func TestWriteShowsNoSpeed(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, recordtest.Faster()); err != nil {
		t.Fatal(err)
	}
	a, b := files(t, dir)
	for _, e := range append(readEvents(t, a), readEvents(t, b)...) {
		if strings.Contains(e.tag, "time") || strings.Contains(e.tag, "speed") {
			t.Errorf("the files have %s", e.tag)
		}
	}
}

func TestWriteSurvivesAnEmptyRecord(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, &record.Run{}); err != nil {
		t.Fatal(err)
	}
	a, b := files(t, dir)
	if n := len(readEvents(t, a)) + len(readEvents(t, b)); n != 2 {
		t.Errorf("%d events, want two beginnings", n)
	}
}

// TestTensorBoardReadsThem asks TensorBoard's own reader, where TANDEM_TENSORBOARD names a Python that has it.
func TestTensorBoardReadsThem(t *testing.T) {
	python := os.Getenv("TANDEM_TENSORBOARD")
	if python == "" {
		t.Skip("TANDEM_TENSORBOARD names no Python with the package tensorboard; make test does")
	}
	r := recordtest.Faster()
	dir := t.TempDir()
	if err := Write(dir, r); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), python, "-c", `
import json, sys
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
m = EventMultiplexer(size_guidance={"scalars": 0, "tensors": 0}).AddRunsFromDirectory(sys.argv[1])
m.Reload()
out = {}
for run, tags in m.Runs().items():
    for tag in tags["scalars"]:
        out[run + ": " + tag] = [[e.step, e.value] for e in m.Scalars(run, tag)]
print(json.dumps(out))
`, dir).Output()
	if err != nil {
		t.Fatalf("TensorBoard's reader: %v", err)
	}
	var got map[string][][2]float64
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]record.Float{"reference: loss": r.Loss.Reference, "candidate: loss": r.Loss.Candidate, "candidate: envelope": r.Loss.Envelope} {
		if len(got[name]) != len(want) {
			t.Errorf("%s: TensorBoard has %d values, want %d", name, len(got[name]), len(want))
			continue
		}
		for i, v := range want {
			if e := got[name][i]; e[0] != float64(i) || float32(e[1]) != float32(v) {
				t.Errorf("%s: TensorBoard has %v at step %v, want %v at %d", name, e[1], e[0], v, i)
			}
		}
	}
	if len(got) != 3+2+1+2*(6+3+6+6) {
		t.Errorf("TensorBoard has %d curves", len(got))
	}
}

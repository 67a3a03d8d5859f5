package record_test

import (
	"fmt"
	"os"
	"path/filepath"

	"tandem/results/record"
	"tandem/results/record/recordtest"
)

func Example() {
	dir, err := os.MkdirTemp("", "tandem")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	path := filepath.Join(dir, "result.json")
	if err := record.Write(path, recordtest.Failed()); err != nil {
		fmt.Println(err)
		return
	}
	r, err := record.Read(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Experiment.Name, r.Parity.Verdict, "in the stage", r.Parity.Stage)

	// A speed-up after a FAIL cannot be written.
	r.Timing.Speedup = &r.Timing.Measured
	fmt.Println(record.Write(path, r) != nil)
	// Output:
	// mnist-mlp FAIL in the stage backward
	// true
}

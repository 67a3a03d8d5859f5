package environment

import (
	"fmt"
	"os"
)

// Resident reads the resident memory of a process, which may be this one: Resident(os.Getpid()).
func Resident(pid int) (ResidentSet, error) {
	var program int64
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid)); err == nil { // a kernel may be built without it
		if program, err = programBytes(text); err != nil {
			return ResidentSet{}, fmt.Errorf("resident memory of process %d: smaps: %w", pid, err)
		}
	}
	name := fmt.Sprintf("/proc/%d/status", pid) // after the other, which takes memory to read
	text, err := os.ReadFile(name)
	if err != nil {
		return ResidentSet{}, fmt.Errorf("resident memory of process %d: %w", pid, err)
	}
	r, err := parseStatus(text)
	if err != nil {
		return ResidentSet{}, fmt.Errorf("resident memory of process %d: %s: %w", pid, name, err)
	}
	r.ProgramBytes = min(program, r.CurrentBytes)
	return r, nil
}

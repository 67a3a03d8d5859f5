package environment

import (
	"fmt"
	"os"
)

// Resident reads the resident memory of a process, which may be this one: Resident(os.Getpid()).
func Resident(pid int) (ResidentSet, error) {
	name := fmt.Sprintf("/proc/%d/status", pid)
	text, err := os.ReadFile(name)
	if err != nil {
		return ResidentSet{}, fmt.Errorf("resident memory of process %d: %w", pid, err)
	}
	r, err := parseStatus(text)
	if err != nil {
		return ResidentSet{}, fmt.Errorf("resident memory of process %d: %s: %w", pid, name, err)
	}
	smaps, err := os.Open(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil { // a kernel may be built without it
		return r, nil
	}
	defer func() { _ = smaps.Close() }() // only read
	if r.ProgramBytes, err = programBytes(smaps); err != nil {
		return ResidentSet{}, fmt.Errorf("resident memory of process %d: %s: %w", pid, smaps.Name(), err)
	}
	r.ProgramBytes = min(r.ProgramBytes, r.CurrentBytes)
	return r, nil
}

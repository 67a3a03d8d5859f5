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
	return r, nil
}

//go:build !linux && !darwin

package environment

import (
	"errors"
	"fmt"
	"runtime"
)

// Resident cannot read the resident memory here; the error is [errors.ErrUnsupported].
func Resident(pid int) (ResidentSet, error) {
	return ResidentSet{}, fmt.Errorf("resident memory of process %d on %s: %w", pid, runtime.GOOS, errors.ErrUnsupported)
}

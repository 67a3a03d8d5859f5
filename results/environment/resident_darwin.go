package environment

import (
	"errors"
	"fmt"
	"os"

	"github.com/shirou/gopsutil/v4/process"
	"golang.org/x/sys/unix"
)

// Resident reads the resident memory of this process: Resident(os.Getpid()). The peak of another process cannot be
// had here; the error is [errors.ErrUnsupported].
func Resident(pid int) (ResidentSet, error) {
	if pid != os.Getpid() {
		return ResidentSet{}, fmt.Errorf("peak resident memory of process %d: %w", pid, errors.ErrUnsupported)
	}
	p, err := process.NewProcess(int32(pid))
	if err != nil {
		return ResidentSet{}, err
	}
	m, err := p.MemoryInfo()
	if err != nil {
		return ResidentSet{}, err
	}
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return ResidentSet{}, err
	}
	return ResidentSet{CurrentBytes: int64(m.RSS), PeakBytes: usage.Maxrss}, nil // in bytes on macOS
}

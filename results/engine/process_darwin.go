package engine

import (
	"errors"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// setAttributes gives the process a group of its own, out of reach of the terminal's Ctrl-C. An engine ends at the
// end of its standard input, which is all that ends it here when this process is killed.
func setAttributes(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// awaitDeath returns when the process has ended but not been reaped. Until it is, its number, which is the group's as
// well, cannot be given to another process, and killing the group cannot hit a stranger. False means that it cannot
// be known.
func awaitDeath(pid int) bool {
	queue, err := unix.Kqueue()
	if err != nil {
		return false
	}
	defer unix.Close(queue)
	var event [1]unix.Kevent_t
	unix.SetKevent(&event[0], pid, unix.EVFILT_PROC, unix.EV_ADD|unix.EV_ONESHOT)
	event[0].Fflags = unix.NOTE_EXIT
	for {
		n, err := unix.Kevent(queue, event[:], event[:], nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ESRCH): // has ended before
			return true
		default:
			return err == nil && n == 1 && event[0].Flags&unix.EV_ERROR == 0
		}
	}
}

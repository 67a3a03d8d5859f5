package engine

import (
	"errors"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// setAttributes gives the process a group of its own, out of reach of the terminal's Ctrl-C, and ties its life to
// the thread that starts it.
func setAttributes(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitDeath returns when the process has ended but not been reaped. Until it is, its number, which is the group's as
// well, cannot be given to another process, and killing the group cannot hit a stranger.
// False means that it cannot be known.
func awaitDeath(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}

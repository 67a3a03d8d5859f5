//go:build unix

package pytorch

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// ownGroup puts the command's process and its children into a process group of their own, and makes the end of the
// command's context end the whole group: politely at first, by force after five seconds.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	cmd.WaitDelay = 5 * time.Second
	if cmd.Cancel != nil {
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	}
}

// runGroup runs the command and leaves none of its group behind.
func runGroup(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	err := cmd.Wait()
	if err != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what outlived its parent; none is not an error
	}
	return err
}

// removeAll removes a folder, in which the children of a set-up that was killed may still be writing: these end soon, since what
// they want to write to is gone.
func removeAll(dir string) error {
	for tries := 0; ; tries++ {
		err := os.RemoveAll(dir)
		if tries == 100 || !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.EEXIST) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func isDiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

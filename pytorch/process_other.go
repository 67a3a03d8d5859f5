//go:build !unix

package pytorch

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// ownGroup has no process groups to work with here: the end of the context ends the process alone.
func ownGroup(cmd *exec.Cmd) { cmd.WaitDelay = 5 * time.Second }

func runGroup(cmd *exec.Cmd) error { return cmd.Run() }

func removeAll(dir string) error { return os.RemoveAll(dir) }

func isDiskFull(err error) bool { return errors.Is(err, syscall.ENOSPC) }

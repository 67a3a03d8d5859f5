//go:build unix && !linux && !darwin

package engine

import (
	"os/exec"
	"syscall"
)

// setAttributes gives the process a group of its own, out of reach of the terminal's Ctrl-C.
func setAttributes(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// awaitDeath says that it cannot be known.
func awaitDeath(int) bool { return false }

//go:build !unix

package engine

import (
	"os"
	"os/exec"
)

// There are no process groups here: an engine's own children end with their standard input or stay.

func setAttributes(*exec.Cmd) {}

// awaitDeath says that it cannot be known.
func awaitDeath(int) bool { return false }

func killGroup(p *os.Process) { _ = p.Kill() }

func wasKilled(*os.ProcessState) bool { return false }

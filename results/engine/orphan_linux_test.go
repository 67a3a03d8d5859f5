package engine_test

import (
	"fmt"
	"testing"
)

// A comparison that is killed, by the system or by kill -9, cannot end its engines; the kernel must.
func TestKilledParentLeavesNoOrphan(t *testing.T) {
	cmd := command("parent")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	_, scanErr := fmt.Fscan(out, &pid)
	wasRunning := scanErr == nil && running(pid)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if scanErr != nil || !wasRunning {
		t.Fatalf("the engine did not run before (%v)", scanErr)
	}
	assertGone(t, pid)
}

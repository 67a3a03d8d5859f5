package environment

import (
	"bytes"
	"fmt"
	"strconv"
)

// ResidentSet is a process's resident memory in bytes.
type ResidentSet struct {
	CurrentBytes int64
	PeakBytes    int64 // the largest since the process began
}

// parseStatus reads the two numbers from the text of Linux's /proc/PID/status, whose "kB" are 1024 bytes.
func parseStatus(text []byte) (ResidentSet, error) {
	var r ResidentSet
	for _, field := range []struct {
		name string
		to   *int64
	}{{"VmRSS", &r.CurrentBytes}, {"VmHWM", &r.PeakBytes}} {
		_, rest, found := bytes.Cut(append([]byte("\n"), text...), []byte("\n"+field.name+":"))
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		parts := bytes.Fields(line)
		if !found || len(parts) != 2 || string(parts[1]) != "kB" {
			return ResidentSet{}, fmt.Errorf("no %s in kB: a kernel thread or a process that has ended", field.name)
		}
		n, err := strconv.ParseInt(string(parts[0]), 10, 53)
		if err != nil || n < 0 {
			return ResidentSet{}, fmt.Errorf("%s is %q", field.name, line)
		}
		*field.to = n * 1024
	}
	return r, nil
}

package environment

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// ResidentSet is a process's resident memory in bytes.
type ResidentSet struct {
	CurrentBytes int64
	PeakBytes    int64 // the largest since the process began
	// ProgramBytes is how much of CurrentBytes are pages of the files that the process executes, its program and its libraries, that it has not
	// written to: all processes that run them share these pages, the system drops them when it needs room and reads them again, and how many are there depends
	// on what was read ahead, in units of its own, more than on what the process did. 0 where the system does not tell.
	ProgramBytes int64
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

// programBytes sums up [ResidentSet].ProgramBytes from the text of Linux's /proc/PID/smaps. A file is executed if any part of it is mapped so; what is mapped
// of it otherwise, such as its constants, counts as well. A page that the process wrote to is anonymous and its own. Code that the
// process generated lies in no file, or in one that exists in memory alone, and is its own too; so are all files that are read as data.
func programBytes(smaps []byte) (int64, error) {
	type file struct {
		clean    int64
		executed bool
	}
	files, signs := map[string]*file{}, map[string]int64{"Rss": 1, "Anonymous": -1}
	var at *file // of the mapping that the lines are about; nil if it has none
	for line := range bytes.Lines(smaps) {
		if line[0] >= 'A' && line[0] <= 'Z' { // "Rss:     24 kB", where a mapping's address is in small letters
			name, rest, _ := bytes.Cut(line, []byte(":"))
			sign := signs[string(name)]
			if at == nil || sign == 0 {
				continue
			}
			number, unit, _ := strings.Cut(strings.TrimSpace(string(rest)), " ")
			n, err := strconv.ParseInt(number, 10, 43)
			if err != nil || n < 0 || unit != "kB" {
				return 0, fmt.Errorf("%s is %q", name, rest)
			}
			at.clean += sign * n * 1024
			continue
		}
		fields := strings.Fields(string(line)) // address, permissions, offset, device, inode, path
		at = nil
		if len(fields) < 6 || fields[4] == "0" || strings.HasPrefix(fields[5], "/memfd:") || strings.HasPrefix(fields[5], "/dev/") || strings.HasPrefix(fields[5], "/SYSV") {
			continue
		}
		key := fields[3] + " " + fields[4]
		if files[key] == nil {
			files[key] = &file{}
		}
		at = files[key]
		at.executed = at.executed || strings.Contains(fields[1], "x")
	}
	var sum int64
	for _, f := range files {
		if f.executed {
			sum += f.clean
		}
	}
	return max(sum, 0), nil
}

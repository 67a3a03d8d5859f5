package environment

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
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
//
// It takes little memory to read, for it is what is measured.
func programBytes(smaps io.Reader) (int64, error) {
	type file struct {
		clean    int64
		executed bool
	}
	files := map[string]*file{}
	var at *file // of the mapping that the lines are about; nil if it has none
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		line := lines.Bytes()
		if len(line) > 0 && line[0] >= 'A' && line[0] <= 'Z' { // "Rss:     24 kB", where a mapping's address is in small letters
			rest, found := bytes.CutPrefix(line, []byte("Rss:"))
			sign := int64(1)
			if !found {
				rest, found = bytes.CutPrefix(line, []byte("Anonymous:"))
				sign = -1
			}
			if at == nil || !found {
				continue
			}
			number, inKiB := bytes.CutSuffix(rest, []byte(" kB"))
			n, err := strconv.ParseInt(string(bytes.TrimSpace(number)), 10, 43)
			if err != nil || n < 0 || !inKiB {
				return 0, fmt.Errorf("a line is %q", line)
			}
			at.clean += sign * n * 1024
			continue
		}
		fields := bytes.Fields(line) // address, permissions, offset, device, inode, path
		at = nil
		if len(fields) < 6 || string(fields[4]) == "0" || hasAnyPrefix(fields[5], "/memfd:", "/dev/", "/SYSV") {
			continue
		}
		key := string(fields[3]) + " " + string(fields[4])
		if files[key] == nil {
			files[key] = &file{}
		}
		at = files[key]
		at.executed = at.executed || bytes.ContainsRune(fields[1], 'x')
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	var sum int64
	for _, f := range files {
		if f.executed {
			sum += f.clean
		}
	}
	return max(sum, 0), nil
}

func hasAnyPrefix(text []byte, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return bytes.HasPrefix(text, []byte(p)) })
}

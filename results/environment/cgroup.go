package environment

import (
	"io/fs"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
)

// limits are what control groups leave to a process; zero means no limit.
type limits struct {
	cpus        float64 // processors' worth of time
	memoryBytes int64
}

func ownLimits() limits {
	if runtime.GOOS != "linux" {
		return limits{}
	}
	return readLimits(os.DirFS("/"))
}

// readLimits reads the control groups of the calling process from a file system whose root is the machine's. The
// groups of both versions are hierarchies: the smallest limit on the way to the root holds. Inside a container the
// group's own folder is often not visible, only its limits at the root of the mount, which is on the way.
func readLimits(root fs.FS) limits {
	var l limits
	data, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return l
	}
	for entry := range strings.Lines(string(data)) {
		// hierarchy number ":" controllers ":" path; version 2 has no controllers (cgroups(7))
		parts := strings.SplitN(strings.TrimSpace(entry), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for folder := path.Join("/", parts[2]); ; folder = path.Dir(folder) {
			if parts[1] == "" {
				l.add(version2(root, path.Join("sys/fs/cgroup", folder)))
			}
			for controller := range strings.SplitSeq(parts[1], ",") {
				if controller != "" {
					l.add(version1(root, path.Join("sys/fs/cgroup", controller, folder)))
				}
			}
			if folder == "/" {
				break
			}
		}
	}
	return l
}

// add lowers l to other.
func (l *limits) add(other limits) {
	if other.cpus > 0 && (l.cpus == 0 || other.cpus < l.cpus) {
		l.cpus = other.cpus
	}
	if other.memoryBytes > 0 && (l.memoryBytes == 0 || other.memoryBytes < l.memoryBytes) {
		l.memoryBytes = other.memoryBytes
	}
}

func version2(root fs.FS, folder string) (l limits) {
	if f := fields(root, path.Join(folder, "cpu.max")); len(f) == 2 {
		l.cpus = ratio(f[0], f[1]) // "max 100000" has no number and so no limit
	}
	if f := fields(root, path.Join(folder, "memory.max")); len(f) == 1 {
		l.memoryBytes = positive(f[0])
	}
	return l
}

func version1(root fs.FS, folder string) (l limits) {
	quota := fields(root, path.Join(folder, "cpu.cfs_quota_us"))
	period := fields(root, path.Join(folder, "cpu.cfs_period_us"))
	if len(quota) == 1 && len(period) == 1 {
		l.cpus = ratio(quota[0], period[0]) // a quota of -1 is no limit
	}
	if f := fields(root, path.Join(folder, "memory.limit_in_bytes")); len(f) == 1 {
		// No limit is the largest number of whole pages; the machine's memory is below it.
		l.memoryBytes = positive(f[0])
	}
	return l
}

func fields(root fs.FS, name string) []string {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return nil
	}
	return strings.Fields(string(data))
}

func ratio(a, b string) float64 {
	x, y := positive(a), positive(b)
	if x == 0 || y == 0 {
		return 0
	}
	return float64(x) / float64(y)
}

// positive is a positive number or 0.
func positive(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

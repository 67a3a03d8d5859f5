package compare

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ResultFile is the record's name in a run's folder; a folder that has it is a run's.
const ResultFile = "result.json"

// Folder is a run's folder while it is being made: everything is written beside its place and moved there when it is whole,
// so that a run that fails or is interrupted keeps the earlier run in that place. It leaves nothing, unless an [Unfinished] keeps what
// is finished of it.
type Folder struct {
	// Dir is where the run's files are written until Commit.
	Dir string
	// Work holds what engines exchange and nobody needs afterwards.
	Work  string
	final string
	marks []string
	// kept says that the folder holds what an earlier session did: it is not thrown away.
	kept bool
	// made are the folders above that did not exist, the outermost last.
	made []string
}

// ErrOccupied is the error for a folder that holds something else than a run.
var ErrOccupied = errors.New("the folder is not empty and holds no earlier run")

// NewFolder prepares a run that will be at path. An earlier run there, which is a folder that has all the marks (files'
// names), will be replaced; a folder with other content is refused.
func NewFolder(path string, marks ...string) (*Folder, error) {
	final, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := checkReplaceable(final, marks); err != nil {
		return nil, err
	}
	parent := filepath.Dir(final)
	made := absent(parent)
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, "."+filepath.Base(final)+partial)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	f := &Folder{Dir: dir, final: final, marks: marks, made: made}
	if f.Work, err = os.MkdirTemp("", workPrefix); err != nil {
		f.Discard()
		return nil, err
	}
	return f, nil
}

// workPrefix begins the names of working folders.
const workPrefix = "tandem-"

// partial is in the name of a folder that a run is being written to.
const partial = ".partial-"

// reopenFolder goes on with a folder that an interrupted run left, which will be at path.
func reopenFolder(dir, path string, marks ...string) (*Folder, error) {
	if err := checkReplaceable(path, marks); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp("", workPrefix)
	if err != nil {
		return nil, err
	}
	return &Folder{Dir: dir, Work: work, final: path, marks: marks, kept: true}, nil
}

// absent returns the folder and those above it that do not exist.
func absent(dir string) (out []string) {
	for {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) || filepath.Dir(dir) == dir {
			return out
		}
		out = append(out, dir)
		dir = filepath.Dir(dir)
	}
}

func checkReplaceable(path string, marks []string) error {
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) == 0:
		return nil
	}
	for _, mark := range marks {
		if _, err := os.Stat(filepath.Join(path, mark)); err != nil {
			return fmt.Errorf("%s: %w; choose another with --out", path, ErrOccupied)
		}
	}
	return nil
}

// File returns the path of a file of the run, for writing it before Commit.
func (f *Folder) File(name string) string { return filepath.Join(f.Dir, name) }

// WorkFile returns the path of a file that is thrown away.
func (f *Folder) WorkFile(name string) string { return filepath.Join(f.Work, name) }

// Commit moves the run to its place and returns it.
func (f *Folder) Commit() (string, error) {
	for _, dir := range []string{f.Work, f.File(unfinishedDir)} {
		if err := os.RemoveAll(dir); err != nil {
			return "", err
		}
	}
	if err := checkReplaceable(f.final, f.marks); err != nil {
		return "", err
	}
	old := ""
	if _, err := os.Stat(f.final); err == nil {
		old = f.Dir + ".old"
		if err := os.Rename(f.final, old); err != nil {
			return "", err
		}
	}
	if err := os.Rename(f.Dir, f.final); err != nil {
		if old != "" {
			err = errors.Join(err, os.Rename(old, f.final))
		}
		return "", err
	}
	if old != "" {
		return f.final, os.RemoveAll(old)
	}
	return f.final, nil
}

// suffix is that of a folder in which an interrupted run can be gone on with.
const suffix = ".unfinished"

// suspend moves the folder to a name beside the run's place that people find, and returns it. The working folder goes.
func (f *Folder) suspend() (string, error) {
	_ = os.RemoveAll(f.Work)
	if strings.HasPrefix(filepath.Base(f.Dir), filepath.Base(f.final)+suffix) {
		return f.Dir, nil
	}
	for k := 1; ; k++ {
		name := f.final + suffix
		if k > 1 {
			name = fmt.Sprintf("%s-%d", name, k)
		}
		if _, err := os.Lstat(name); err == nil {
			continue
		}
		if err := os.Rename(f.Dir, name); err != nil {
			return f.Dir, err
		}
		f.Dir = name
		return name, nil
	}
}

// Discard removes what was written, unless Commit moved it, and the folders that were made for it and hold nothing else. What an earlier
// session left stays.
func (f *Folder) Discard() {
	if f.kept {
		_ = os.RemoveAll(f.Work)
		return
	}
	_ = os.RemoveAll(f.Dir)
	if f.Work != "" {
		_ = os.RemoveAll(f.Work)
	}
	for _, dir := range f.made {
		_ = os.Remove(dir) // fails where there is something
	}
}

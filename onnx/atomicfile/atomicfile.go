// Package atomicfile writes a file whole or not at all: into a temporary file beside the target, which is renamed when everything
// was written. A full disk, an error or Ctrl-C leaves the old file, or none.
//
// It does not promise survival of a power failure: it does not call fsync.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
)

// Write calls write with a buffered writer and puts what it wrote at path. The file's mode is 0666 less the umask.
func Write(path string, write func(io.Writer) error) (err error) {
	f, err := create(path)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// Both may fail again, for instance because Close has already run; the first error is the one to tell.
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	// Many small pieces are gathered; a piece larger than the buffer is written straight from where it is, so that a larger
	// buffer would only be memory for the collector to sweep.
	w := bufio.NewWriterSize(f, 64<<10)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", path, cause(err))
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write %s: %w", path, cause(err))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, cause(err))
	}
	return nil
}

// create makes the temporary file. os.CreateTemp would give it mode 0600, which is wrong for a result that others may read.
func create(path string) (*os.File, error) {
	for range 100 {
		f, err := os.OpenFile(fmt.Sprintf("%s.%08x.tmp", path, rand.Uint32()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("write %s: %w", path, cause(err))
		}
	}
	return nil, fmt.Errorf("write %s: no free name for a temporary file beside it", path)
}

// cause drops the temporary file's name from the message: the user knows only the target's.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err
	}
	return err
}

// WriteBytes puts data at path as Write does.
func WriteBytes(path string, data []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

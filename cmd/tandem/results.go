package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tandem/results/compare"
	"tandem/results/record"
	"tandem/results/report"
)

// readRecord reads a record of a run or of a sweep.
func readRecord(file string) (report.Entry, error) {
	if s, err := record.ReadSweep(file); err == nil {
		return report.Entry{Sweep: s, Source: file}, nil
	}
	r, err := record.Read(file)
	if err != nil {
		return report.Entry{}, inputError{err}
	}
	return report.Entry{Run: r, Source: file}, nil
}

// readRecords reads the records at a path: a file, a run's folder, or a folder with such folders, whose records come in the order of their
// names.
func readRecords(path string) ([]report.Entry, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, inputError{fmt.Errorf("%w; name a run's folder or its %s", err, compare.ResultFile)}
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = recordFiles(path); err != nil {
			return nil, err
		}
	}
	var out []report.Entry
	for _, file := range files {
		e, err := readRecord(file)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// recordFiles are the records in a folder: its own, or those below it.
func recordFiles(dir string) ([]string, error) {
	own := filepath.Join(dir, compare.ResultFile)
	_, missing := os.Stat(own)
	if missing == nil {
		return []string{own}, nil
	}
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == compare.ResultFile && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, inputError{err}
	case len(files) == 0:
		return nil, inputError{fmt.Errorf("%s is no run's folder and holds none: %w", dir, errors.Unwrap(missing))}
	}
	return files, nil
}

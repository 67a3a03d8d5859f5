package zoo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"tandem/fixtures/zoo"
)

// Run compares one model with "tandem run" and leaves the outcome in the folder for [Read]. source is the path of models.py; arguments are
// further ones of the command. It returns the command's exit status; an error is one of the survey itself.
func Run(ctx context.Context, command, dir, source string, m zoo.Model, arguments ...string) (int, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return 0, err
	}
	source, err := filepath.Abs(source)
	if err != nil {
		return 0, err
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return 0, err
	}
	if near, err := filepath.Rel(full, source); err == nil {
		source = filepath.ToSlash(near)
	}
	file := filepath.Join(dir, m.Name+".toml")
	if err := os.WriteFile(file, []byte(m.Experiment(source)), 0o666); err != nil {
		return 0, err
	}
	out := filepath.Join(dir, m.Name)
	for _, old := range []string{out, out + ".unfinished", out + refusalSuffix, out + brokenSuffix} {
		if err := os.RemoveAll(old); err != nil {
			return 0, err
		}
	}
	var messages bytes.Buffer
	c := exec.CommandContext(ctx, command, append([]string{"run", file, "--quiet", "--out", out}, arguments...)...)
	c.Stderr = &messages
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) } // its engines end with it
	err = c.Run()
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	status := 0
	if ended := new(exec.ExitError); errors.As(err, &ended) {
		status = ended.ExitCode()
	} else if err != nil {
		return 0, err
	}
	if _, err := os.Stat(filepath.Join(out, ResultFile)); err == nil {
		return status, nil // a verdict, whichever
	}
	suffix := brokenSuffix
	if status == 2 {
		suffix = refusalSuffix
	}
	return status, os.WriteFile(out+suffix, messages.Bytes(), 0o666)
}

// Each calls compare for the models, in their order and at most so many at a time; a large one is alone, for the sake of memory. The first error ends
// it, after those that run have ended.
func Each(ctx context.Context, list []zoo.Model, atATime int, compare func(context.Context, zoo.Model) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	defer running.Wait()
	places := make(chan struct{}, atATime)
	for _, m := range list {
		share := 1
		if m.Large {
			share = atATime
		}
		for range share {
			places <- struct{}{}
		}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			if err := compare(ctx, m); err != nil {
				cancel(err)
			}
			for range share {
				<-places
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

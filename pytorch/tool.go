package pytorch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
)

// lineWriter hands on what a tool writes, line by line, and keeps the last lines for an error.
type lineWriter struct {
	mu   sync.Mutex
	rest []byte
	tail []string
	line func(string)
}

const tailLines = 20

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, p...)
	for {
		i := bytes.IndexByte(w.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		w.emit(string(w.rest[:i]))
		w.rest = w.rest[i+1:]
	}
}

func (w *lineWriter) emit(s string) {
	s = strings.TrimRight(s, " \r\t")
	if s == "" {
		return
	}
	if w.tail = append(w.tail, s); len(w.tail) > tailLines {
		w.tail = w.tail[1:]
	}
	if w.line != nil {
		w.line(s)
	}
}

// end hands on a last line that has no line feed, and returns the last lines.
func (w *lineWriter) end() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.emit(string(w.rest))
	w.rest = nil
	return w.tail
}

// runTool runs a tool of the set-up in the environment env, passing on its lines, and turns its failure into a
// [*SetupError] that says what to do.
func runTool(ctx context.Context, folder, what string, env []string, line func(string), path string, args ...string) error {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Dir = env, folder
	w := &lineWriter{line: line}
	cmd.Stdout, cmd.Stderr = w, w
	ownGroup(cmd)
	err := runGroup(cmd)
	tail := w.end()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("set-up was interrupted while %s: %w", what, context.Cause(ctx))
	case err == nil:
		return nil
	}
	e := classify(strings.Join(tail, "\n"), folder)
	e.Reason, e.Output = what+": "+err.Error(), tail
	var exit *exec.ExitError
	if !errors.As(err, &exit) && isDiskFull(err) {
		e.Err, e.Advice = ErrDiskFull, freeSpace(folder)
	}
	return e
}

// classify recognises, in what pip or uv wrote, the causes that a user can do something about.
func classify(output, folder string) *SetupError {
	has := func(marks ...string) bool {
		low := strings.ToLower(output)
		for _, m := range marks {
			if strings.Contains(low, m) {
				return true
			}
		}
		return false
	}
	switch {
	case has("no space left on device", "os error 28", "errno 28", "disk quota exceeded"):
		return &SetupError{Err: ErrDiskFull, Advice: freeSpace(folder)}
	case has("hash mismatch", "do not match the hashes", "hashes are required"):
		return &SetupError{Err: ErrInstall, Advice: "What was downloaded is not what tandem pins: a broken download, or an index that serves other files. " +
			"Run the set-up again; if it stays so, choose another index (UV_DEFAULT_INDEX)."}
	case has("dns error", "error sending request", "connection refused", "network is unreachable", "name resolution",
		"newconnectionerror", "failed to fetch", "timed out", "connection reset", "certificate"):
		return &SetupError{Err: ErrNoNetwork, Advice: "Set-up needs the Python package index once. Check the connection (a proxy: HTTPS_PROXY; a mirror: UV_DEFAULT_INDEX " +
			"and PIP_INDEX_URL; own certificates: SSL_CERT_FILE) and run it again: it goes on with what was fetched. " +
			"Without any of it, \"tandem check\" compares with the recorded reference."}
	case has("no solution found", "no matching distribution", "only found wheels", "doesn't have a source distribution or wheel"):
		return &SetupError{Err: ErrInstall, Advice: "The index has no build of a pinned package for this system and Python. PyTorch serves Linux (glibc), " +
			"macOS on Apple silicon and Windows; TANDEM_PYTHON chooses another Python."}
	}
	return &SetupError{Err: ErrInstall, Advice: "Run the set-up again; if it fails at the same place, remove " + folder + " first."}
}

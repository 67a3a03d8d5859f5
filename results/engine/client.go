package engine

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Options of a [Client]. The zero value is good.
type Options struct {
	// Timeout is how long a command may take; steps is the number of steps of a step command, else 0. nil means
	// DefaultTimeout.
	Timeout func(command string, steps int) time.Duration
	// Grace is how long an engine may take to end by itself after quit or after the end of its output; 0 means 30 s: on a busy machine an interpreter
	// with large libraries takes seconds to end.
	Grace time.Duration
	// Stderr, if not nil, gets the engine's standard error as it is written.
	Stderr io.Writer
}

// DefaultTimeout is generous: its purpose is that a comparison ends, not that it ends soon. Importing PyTorch from a
// cold disk takes half a minute, and its first compiled step a minute or more on a busy machine.
func DefaultTimeout(command string, steps int) time.Duration {
	switch command {
	case cmdHello:
		return 3 * time.Minute
	case cmdMemory:
		return time.Minute
	case cmdQuit:
		return 10 * time.Second
	case cmdStep, cmdProfile:
		return 10*time.Minute + time.Duration(steps)*20*time.Second
	default:
		return 10 * time.Minute
	}
}

// Client drives an engine's process. It is an [Engine]. Commands that are called at the same time wait for each
// other.
//
// A command whose context is cancelled ends the engine: the protocol has no way to take a command back.
type Client struct {
	opts  Options
	cmd   *exec.Cmd
	name  string // the program's, until hello has answered
	hello Hello

	stdin  *os.File // the writing end
	stdout *os.File // the reading end
	stderr *tail

	lines  chan line     // of standard output; closed at its end
	ending chan struct{} // closed when nobody reads lines any more
	exited chan struct{} // closed when the process has been reaped

	mu     sync.Mutex // held during a command
	id     int64
	broken *Failure // why no further command is possible
	closed bool

	procMu  sync.Mutex
	reaped  bool // the process's number may belong to another one
	stopCtx func() bool
	endOnce sync.Once
}

// line is a line of an engine's standard output or the reason why there is none.
type line struct {
	text []byte
	err  error
}

// Start starts cmd as an engine and waits for its hello. cmd must not have been started and must leave its standard
// streams and process attributes to Start. The process gets a process group of its own; when ctx ends, at Close, and
// when the engine fails, the whole group is killed, so that nothing that the engine started stays behind. On Linux
// the engine also ends when this process dies.
func Start(ctx context.Context, cmd *exec.Cmd, opts Options) (*Client, error) {
	if opts.Timeout == nil {
		opts.Timeout = DefaultTimeout
	}
	opts.Grace = cmp.Or(opts.Grace, 30*time.Second)
	c := &Client{
		opts: opts, cmd: cmd, name: filepath.Base(cmd.Path), stderr: newTail(opts.Stderr),
		lines: make(chan line), ending: make(chan struct{}), exited: make(chan struct{}),
	}
	if err := ctx.Err(); err != nil {
		return nil, c.failure(cmdHello, ErrCancelled, context.Cause(ctx))
	}
	if err := c.startProcess(); err != nil {
		return nil, c.failure(cmdHello, ErrStart, err)
	}
	c.stopCtx = context.AfterFunc(ctx, c.end)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.call(ctx, cmdHello, nil, &c.hello, 0); err != nil {
		c.end()
		c.awaitExit()
		return nil, err
	}
	if c.hello.Protocol != Version {
		return nil, c.fail(cmdHello, ErrVersion, fmt.Errorf("it has version %d and tandem %d: use an engine for version %d", c.hello.Protocol, Version, Version))
	}
	if c.hello.Name == "" {
		return nil, c.fail(cmdHello, ErrGarbled, errors.New("hello has no name"))
	}
	c.name = c.hello.Name
	return c, nil
}

// startProcess starts the process with its pipes and the goroutines that wait for it and read its output.
func (c *Client) startProcess() error {
	if c.cmd.Stdin != nil || c.cmd.Stdout != nil || c.cmd.Stderr != nil || c.cmd.Process != nil {
		return errors.New("the command has standard streams already or was started")
	}
	// Pipes of our own, unlike StdoutPipe's, outlive the process: what a crashed engine wrote last can be read.
	inR, inW, err := os.Pipe()
	if err != nil {
		return err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return errors.Join(err, inR.Close(), inW.Close())
	}
	c.stdin, c.stdout = inW, outR
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = inR, outW, c.stderr
	// A process that left the group may hold standard error open; do not wait for it.
	c.cmd.WaitDelay = time.Second
	setAttributes(c.cmd)

	started := make(chan error, 1)
	go func() {
		// Linux kills the child when the thread, not the process, that started it ends: keep the thread.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		inR.Close()
		outW.Close()
		started <- err
		if err != nil {
			return
		}
		// cmd.Wait's error is in cmd.ProcessState; that standard error did not end in time is no fault.
		died := awaitDeath(c.cmd.Process.Pid)
		if !died {
			_ = c.cmd.Wait()
		}
		c.procMu.Lock()
		killGroup(c.cmd.Process) // what the engine started and left behind
		c.reaped = true
		c.procMu.Unlock()
		if died {
			_ = c.cmd.Wait()
		}
		close(c.exited)
	}()
	if err := <-started; err != nil {
		return errors.Join(err, inW.Close(), outR.Close())
	}
	go c.readLines()
	return nil
}

// readLines hands the lines of standard output to whoever waits for an answer.
func (c *Client) readLines() {
	defer close(c.lines)
	r := bufio.NewReaderSize(c.stdout, 64<<10)
	for {
		text, err := readLine(r, maxLine)
		select {
		case c.lines <- line{text, err}:
		case <-c.ending:
			return
		}
		if err != nil {
			return
		}
	}
}

// end kills the process group, at once and without waiting.
func (c *Client) end() {
	// Before the kill, so that nobody takes its effect for a crash.
	c.endOnce.Do(func() { close(c.ending) })
	c.procMu.Lock()
	if !c.reaped {
		killGroup(c.cmd.Process)
	}
	c.procMu.Unlock()
	c.stdin.Close()
}

// awaitExit waits until the process has been reaped. Even a killed process may stay a while, when a disk or a driver
// holds it; then give up, so that the error is shown.
func (c *Client) awaitExit() bool {
	defer c.stdout.Close()
	if c.stopCtx != nil {
		c.stopCtx()
	}
	select {
	case <-c.exited:
		return true
	case <-time.After(c.opts.Grace + 10*time.Second):
		return false
	}
}

// failure describes a fault without acting on it.
func (c *Client) failure(command string, fault, err error) *Failure {
	return &Failure{Engine: c.name, Command: command, Fault: fault, Err: err, Stderr: c.stderr.lines()}
}

// fail ends the engine for a fault. No further command is possible.
func (c *Client) fail(command string, fault, err error) error {
	c.end()
	if !c.awaitExit() {
		err = errors.Join(err, fmt.Errorf("process %d was killed but has not ended", c.cmd.Process.Pid))
	}
	c.broken = c.failure(command, fault, err)
	return c.broken
}

// call sends one request and waits for its answer. The caller holds c.mu.
func (c *Client) call(ctx context.Context, command string, params, result any, steps int) error {
	if c.closed {
		return c.failure(command, ErrGone, errors.New("it was closed"))
	}
	if c.broken != nil {
		return c.failure(command, ErrGone, fmt.Errorf("it %w at command %q", c.broken.Fault, c.broken.Command))
	}
	c.id++
	req := Request{ID: c.id, Command: command}
	if params != nil {
		raw, err := json.Marshal(params)
		if err != nil {
			return fmt.Errorf("engine %s: %s: %w", c.name, command, err)
		}
		req.Params = raw
	}
	data, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("engine %s: %s: %w", c.name, command, err)
	}

	timeout := c.opts.Timeout(command, steps)
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	// Writing may block too, when the engine does not read. The end of the process ends the writing.
	wrote := make(chan error, 1)
	go func() {
		_, err := c.stdin.Write(append(data, '\n'))
		wrote <- err
	}()
	for {
		select {
		case <-ctx.Done():
			return c.fail(command, ErrCancelled, context.Cause(ctx))
		case <-timer.C:
			return c.fail(command, ErrHung, fmt.Errorf("no answer after %v", timeout))
		case <-c.ending: // the context of Start ended
			return c.fail(command, ErrCancelled, context.Canceled)
		case err := <-wrote:
			wrote = nil
			if err != nil {
				// What standard output holds, or its end, explains a broken pipe better.
				timeout = min(timeout, c.opts.Grace)
				timer.Reset(timeout)
			}
		case l := <-c.lines:
			return c.answer(ctx, command, l, result)
		}
	}
}

// answer takes the engine's line, or its absence, as the answer to the present request.
func (c *Client) answer(ctx context.Context, command string, l line, result any) error {
	switch {
	case errors.Is(l.err, errLineTooLong):
		return c.fail(command, ErrOversize, fmt.Errorf("more than %d bytes, beginning with %s", maxLine, excerpt(l.text)))
	case l.err != nil:
		return c.ended(ctx, command)
	}
	raw, refused, err := decodeResponse(l.text, c.id)
	if err != nil {
		return c.fail(command, ErrGarbled, err)
	}
	if refused != nil {
		return &Refusal{Engine: c.name, Command: command, Err: refused, Stderr: c.stderr.lines()}
	}
	if result == nil {
		return nil
	}
	if err := decodeResult(raw, result); err != nil {
		return c.fail(command, ErrGarbled, err)
	}
	return nil
}

// ended explains the end of standard output. The process is given time to end by itself, so that its exit status and
// its last words are its own.
func (c *Client) ended(ctx context.Context, command string) error {
	select {
	case <-c.exited:
	case <-time.After(c.opts.Grace):
		return c.fail(command, ErrEnded, errors.New("it closed its standard output but ran on"))
	case <-ctx.Done():
	case <-c.ending:
	}
	if ctx.Err() != nil {
		return c.fail(command, ErrCancelled, context.Cause(ctx))
	}
	select {
	case <-c.ending:
		return c.fail(command, ErrCancelled, context.Canceled)
	default:
	}
	state := c.cmd.ProcessState
	if state.Success() {
		return c.fail(command, ErrEnded, errors.New("exit status 0"))
	}
	err := error(&exec.ExitError{ProcessState: state})
	if wasKilled(state) {
		err = fmt.Errorf("%w: something else ended it; the system does so when memory runs out", err)
	}
	return c.fail(command, ErrCrashed, err)
}

// do is call for a command whose result is of type T.
func do[T any](ctx context.Context, c *Client, command string, params any, steps int, check func(*T) error) (*T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	result := new(T)
	if err := c.call(ctx, command, params, result, steps); err != nil {
		return nil, err
	}
	if check != nil {
		if err := check(result); err != nil {
			return nil, c.fail(command, ErrGarbled, err)
		}
	}
	return result, nil
}

// Hello is what the engine said of itself when it was started.
func (c *Client) Hello() Hello { return c.hello }

// Load implements [Engine].
func (c *Client) Load(ctx context.Context, p LoadParams) (*Loaded, error) {
	return do[Loaded](ctx, c, cmdLoad, p, 0, nil)
}

// GetState implements [Engine].
func (c *Client) GetState(ctx context.Context, file string) (*StateInfo, error) {
	return do[StateInfo](ctx, c, cmdGetState, FileParams{file}, 0, nil)
}

// SetState implements [Engine].
func (c *Client) SetState(ctx context.Context, file string) (*StateInfo, error) {
	return do[StateInfo](ctx, c, cmdSetState, FileParams{file}, 0, nil)
}

// Grad implements [Engine].
func (c *Client) Grad(ctx context.Context, p GradParams) (*GradResult, error) {
	return do[GradResult](ctx, c, cmdGrad, p, 0, nil)
}

// Update implements [Engine].
func (c *Client) Update(ctx context.Context, p UpdateParams) (*StateInfo, error) {
	return do[StateInfo](ctx, c, cmdUpdate, p, 0, nil)
}

// Step implements [Engine]. An answer without exactly one loss and one possible time a step is a failure.
func (c *Client) Step(ctx context.Context, n int) (*StepResult, error) {
	return do(ctx, c, cmdStep, StepParams{n}, n, func(r *StepResult) error {
		if len(r.Losses) != n || len(r.Seconds) != n {
			return fmt.Errorf("%d steps were asked for; the answer holds %d losses and %d times", n, len(r.Losses), len(r.Seconds))
		}
		if i := slices.IndexFunc(r.Seconds, func(s float64) bool { return !(s >= 0) || math.IsInf(s, 1) }); i >= 0 {
			return fmt.Errorf("step %d of %d took %v seconds", i+1, n, r.Seconds[i])
		}
		return nil
	})
}

// Forward implements [Engine].
func (c *Client) Forward(ctx context.Context, p ForwardParams) (*ForwardResult, error) {
	return do[ForwardResult](ctx, c, cmdForward, p, 0, nil)
}

// Save implements [Engine].
func (c *Client) Save(ctx context.Context, file string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.call(ctx, cmdSave, FileParams{file}, nil, 0)
}

// Memory implements [Engine].
func (c *Client) Memory(ctx context.Context) (*Memory, error) {
	return do[Memory](ctx, c, cmdMemory, nil, 0, nil)
}

// Profile implements [Engine].
func (c *Client) Profile(ctx context.Context, p ProfileParams) (*Profile, error) {
	return do[Profile](ctx, c, cmdProfile, p, 2*p.Steps, nil)
}

// Close tells the engine to quit, waits, and kills what has not ended. Closing again, or after a failure, does
// nothing. The error says that the engine did not end as it should; nothing runs any more in any case.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.broken != nil {
		return nil
	}
	err := c.call(context.Background(), cmdQuit, nil, nil, 0)
	c.closed = true
	if c.broken != nil {
		if errors.Is(err, ErrCancelled) {
			return nil // the context of Start ended it before
		}
		return err
	}
	c.stdin.Close()
	select {
	case <-c.exited:
	case <-time.After(c.opts.Grace):
		return c.fail(cmdQuit, ErrHung, errors.Join(err, errors.New("it answered quit but ran on")))
	}
	c.end()
	c.awaitExit()
	if state := c.cmd.ProcessState; !state.Success() {
		return errors.Join(err, c.failure(cmdQuit, ErrCrashed, &exec.ExitError{ProcessState: state}))
	}
	return err
}

var _ Engine = (*Client)(nil)

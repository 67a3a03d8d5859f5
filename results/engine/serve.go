package engine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
)

// Serve answers the commands on in with e until quit, the end of in, or the end of ctx. Nothing else may write to
// out: an engine that prints gives out its standard output and points os.Stdout elsewhere.
//
// Parameters are read strictly: an unknown field is an error of the kind "input". An error of e that wraps no
// *[Error] becomes one of the kind "internal", and so does a panic, with its stack as the detail. Commands run on the
// goroutine that called Serve, one after the other. The returned error is nil after quit and at the end of in.
func Serve(ctx context.Context, in io.Reader, out io.Writer, e Engine) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make(chan line)
	go func() { // so that ctx ends the wait; at worst it stays until in ends
		r := bufio.NewReaderSize(in, 64<<10)
		for {
			text, err := readLine(r, maxLine)
			select {
			case lines <- line{text, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for {
		var l line
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case l = <-lines:
		}
		if errors.Is(l.err, io.EOF) {
			return nil
		}
		if l.err != nil {
			return fmt.Errorf("read a request: %w", l.err)
		}
		if len(bytes.TrimSpace(l.text)) == 0 {
			continue
		}
		var req Request
		var response Response
		if err := strict(l.text, &req); err != nil {
			response.Error = Errorf(KindInput, "%s is no request: %v", excerpt(l.text), err)
		} else {
			response = answer(ctx, e, req)
		}
		response.ID = req.ID
		data, err := json.Marshal(response)
		if err != nil {
			return fmt.Errorf("answer %s: %w", req.Command, err)
		}
		if _, err := out.Write(append(data, '\n')); err != nil {
			return fmt.Errorf("answer %s: %w", req.Command, err)
		}
		if req.Command == cmdQuit && response.Error == nil {
			return nil
		}
	}
}

// answer runs one command.
func answer(ctx context.Context, e Engine, req Request) (response Response) {
	defer func() {
		if r := recover(); r != nil {
			response = Response{Error: &Error{
				Kind: KindInternal, Message: fmt.Sprintf("panic in %s: %v", req.Command, r), Detail: string(debug.Stack()),
			}}
		}
	}()
	result, err := dispatch(ctx, e, req)
	if err == nil {
		response.Result, err = json.Marshal(result)
	}
	if err != nil {
		response = Response{Error: asError(err)}
	}
	return response
}

// asError is err as it travels. What wraps an *Error keeps its whole text.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return &Error{Kind: e.Kind, Message: err.Error(), Detail: e.Detail}
	}
	return &Error{Kind: KindInternal, Message: err.Error()}
}

// empty is the result of a command that has none.
type empty struct{}

func dispatch(ctx context.Context, e Engine, req Request) (any, error) {
	switch req.Command {
	case cmdHello:
		h := e.Hello()
		h.Protocol = Version
		return h, noParams(req)
	case cmdLoad:
		return with(ctx, req, e.Load)
	case cmdGetState:
		return with(ctx, req, func(ctx context.Context, p FileParams) (*StateInfo, error) { return e.GetState(ctx, p.File) })
	case cmdSetState:
		return with(ctx, req, func(ctx context.Context, p FileParams) (*StateInfo, error) { return e.SetState(ctx, p.File) })
	case cmdGrad:
		return with(ctx, req, e.Grad)
	case cmdUpdate:
		return with(ctx, req, e.Update)
	case cmdStep:
		return with(ctx, req, func(ctx context.Context, p StepParams) (*StepResult, error) {
			if p.N < 1 {
				return nil, Errorf(KindInput, "step: n is %d; at least one step can be taken", p.N)
			}
			return e.Step(ctx, p.N)
		})
	case cmdForward:
		return with(ctx, req, e.Forward)
	case cmdSave:
		return with(ctx, req, func(ctx context.Context, p FileParams) (*empty, error) { return new(empty), e.Save(ctx, p.File) })
	case cmdMemory:
		if err := noParams(req); err != nil {
			return nil, err
		}
		return result(e.Memory(ctx))
	case cmdProfile:
		return with(ctx, req, func(ctx context.Context, p ProfileParams) (*Profile, error) {
			if p.Steps < 1 {
				return nil, Errorf(KindInput, "profile: steps is %d; at least one step can be timed", p.Steps)
			}
			return e.Profile(ctx, p)
		})
	case cmdQuit:
		return empty{}, noParams(req)
	default:
		return nil, unsupported(req.Command)
	}
}

// with reads the parameters of a command and runs it.
func with[P, R any](ctx context.Context, req Request, run func(context.Context, P) (*R, error)) (any, error) {
	var p P
	if len(req.Params) == 0 || string(req.Params) == "null" {
		return nil, Errorf(KindInput, "%s: no params", req.Command)
	}
	if err := strict(req.Params, &p); err != nil {
		return nil, Errorf(KindInput, "%s: params: %v", req.Command, err)
	}
	return result(run(ctx, p))
}

// result refuses an engine's mistake: neither a result nor an error.
func result[R any](r *R, err error) (any, error) {
	if err == nil && r == nil {
		return nil, errors.New("the engine answered nothing")
	}
	return r, err
}

func noParams(req Request) error {
	switch string(req.Params) {
	case "", "null", "{}":
		return nil
	}
	return Errorf(KindInput, "%s takes no params", req.Command)
}

// strict decodes one JSON value, without unknown fields and with nothing after it.
func strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON value")
	}
	return nil
}

package engine

import "context"

// Engine is the protocol as Go methods, one a command. [Client] has them for an engine's process; whoever writes an
// engine in Go implements them and hands them to [Serve]. Code that uses an engine takes an Engine, so that a test
// can give it a fake.
//
// An Engine is used by one goroutine at a time. An error that is, or wraps, an *[Error] is the engine's refusal of
// this one command, and its state is as it was; after any other error from a [Client] the engine is gone.
type Engine interface {
	// Hello is the engine's description of itself.
	Hello() Hello
	// Load reads experiment, model and data; the state becomes the initial one.
	Load(ctx context.Context, p LoadParams) (*Loaded, error)
	// GetState writes the whole state to a file.
	GetState(ctx context.Context, file string) (*StateInfo, error)
	// SetState replaces the whole state by a file's.
	SetState(ctx context.Context, file string) (*StateInfo, error)
	// Grad writes loss and gradients of the present step's batch to a file and changes nothing.
	Grad(ctx context.Context, p GradParams) (*GradResult, error)
	// Update writes the state after one optimizer update with a file's gradients and changes nothing.
	Update(ctx context.Context, p UpdateParams) (*StateInfo, error)
	// Step trains n steps and answers the loss and the wall time of each.
	Step(ctx context.Context, n int) (*StepResult, error)
	// Forward writes the outputs for all rows of a split.
	Forward(ctx context.Context, p ForwardParams) (*ForwardResult, error)
	// Save writes the present model as ONNX.
	Save(ctx context.Context, file string) error
	// Memory is the resident memory of the engine's process.
	Memory(ctx context.Context) (*Memory, error)
	// Profile trains some steps and answers what their time is spent on.
	Profile(ctx context.Context, p ProfileParams) (*Profile, error)
}

// Names of the commands.
const (
	cmdHello    = "hello"
	cmdLoad     = "load"
	cmdGetState = "get_state"
	cmdSetState = "set_state"
	cmdGrad     = "grad"
	cmdUpdate   = "update"
	cmdStep     = "step"
	cmdForward  = "forward"
	cmdSave     = "save"
	cmdMemory   = "memory"
	cmdProfile  = "profile"
	cmdQuit     = "quit"
)

// Unimplemented refuses every command as unsupported. An engine embeds it and writes the methods that it has.
type Unimplemented struct{}

func unsupported(command string) error {
	return Errorf(KindUnsupported, "this engine has no command %q", command)
}

// Load refuses.
func (Unimplemented) Load(context.Context, LoadParams) (*Loaded, error) {
	return nil, unsupported(cmdLoad)
}

// GetState refuses.
func (Unimplemented) GetState(context.Context, string) (*StateInfo, error) {
	return nil, unsupported(cmdGetState)
}

// SetState refuses.
func (Unimplemented) SetState(context.Context, string) (*StateInfo, error) {
	return nil, unsupported(cmdSetState)
}

// Grad refuses.
func (Unimplemented) Grad(context.Context, GradParams) (*GradResult, error) {
	return nil, unsupported(cmdGrad)
}

// Update refuses.
func (Unimplemented) Update(context.Context, UpdateParams) (*StateInfo, error) {
	return nil, unsupported(cmdUpdate)
}

// Step refuses.
func (Unimplemented) Step(context.Context, int) (*StepResult, error) {
	return nil, unsupported(cmdStep)
}

// Forward refuses.
func (Unimplemented) Forward(context.Context, ForwardParams) (*ForwardResult, error) {
	return nil, unsupported(cmdForward)
}

// Save refuses.
func (Unimplemented) Save(context.Context, string) error { return unsupported(cmdSave) }

// Memory refuses.
func (Unimplemented) Memory(context.Context) (*Memory, error) { return nil, unsupported(cmdMemory) }

// Profile refuses.
func (Unimplemented) Profile(context.Context, ProfileParams) (*Profile, error) {
	return nil, unsupported(cmdProfile)
}

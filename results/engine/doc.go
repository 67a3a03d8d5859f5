// Package engine is the protocol between tandem and an engine, with both of its ends: [Client] drives an engine's
// process, [Serve] answers for an engine written in Go.
//
// It is not a trainer and knows none: PyTorch, the native trainer and anyone's own program stand behind the same
// lines of text, pay the same costs, and are timed at the same boundary.
//
// # The protocol, version 1
//
// An engine is a process. It reads one JSON object a line on standard input and answers each with one JSON object a
// line on standard output, in order. Nothing else may be written to standard output; what goes to standard error is
// kept and shown when something fails. Tensors never travel in the JSON: a message names a safetensors file, which
// the answering side writes or reads. An engine burns no processor time while it waits for a line. When standard
// input ends, the engine ends.
//
// A request is {"id": 1, "command": "step", "params": {...}}; the answer repeats the id and holds either a result
// or an error:
//
//	{"id": 1, "result": {"losses": [2.3025], "seconds": [0.0012], "step": 1}}
//	{"id": 1, "error": {"kind": "unsupported", "message": "operator Foo (node \"foo_1\") ..."}}
//
// Error kinds: "input" (what the user gave is at fault), "unsupported" (the engine cannot do this model or
// command), "internal" (the engine is at fault). JSON has no numbers for NaN and the infinities; where a float may be one, it
// is written as the string "NaN", "Infinity" or "-Infinity".
//
// The commands, with the Go types that define params and result exactly:
//
//	hello      -                  [Hello]       who are you, what can you do
//	load       [LoadParams]       [Loaded]      experiment, model and data; the state becomes the initial one, step 0
//	get_state  [FileParams]       [StateInfo]   write the whole state
//	set_state  [FileParams]       [StateInfo]   replace the whole state
//	grad       [GradParams]       [GradResult]  loss and gradients of the present step's batch; changes nothing
//	update     [UpdateParams]     [StateInfo]   the state after one optimizer update with given gradients; changes nothing
//	step       [StepParams]       [StepResult]  train; answers each step's loss and its wall time
//	forward    [ForwardParams]    [ForwardResult]  outputs for the rows of a split
//	save       [FileParams]       -             write the present model as ONNX (optional)
//	memory     -                  [Memory]      resident memory
//	profile    [ProfileParams]    [Profile]     train; answers what a step's time is spent on, and the machine's limits (optional)
//	quit       -                  -             end
//
// # Files
//
// The experiment file is JSON, written by tandem: package fixtures/experiment documents it. The model file is ONNX;
// its initializers hold the initial parameters and buffers under the reference's names.
//
// The data file is safetensors: "train/<input>" and "test/<input>" for each model input, one sample a row;
// "train/target" and "test/target" (for losses of classes int64 class numbers, of shape (rows), or (rows, positions) where the
// model has scores for each position of a sample, as a language model for each byte: scores have the targets' shape and
// after it the classes, or with loss.class_dim 1 the classes second, and a "mean" is over all positions; for other losses float32
// numbers in the shape of the model's output that the loss is taken of, the first one or that of loss.output; for the loss "output" none); "order" (int64, the sample of each position of the whole
// training, epoch after epoch) and "offsets" (int64, steps+1 numbers: step k's batch is order[offsets[k]:offsets[k+1]]).
// Step numbers beyond the last begin again with batch k mod steps.
//
// Where the experiment crops and mirrors images at random, the data file has what was drawn: "augment" (int8, for each position of the order the
// three numbers dy, dx and flip) and "fill" (float32, one number a channel, what a black pixel is). A training batch then has, of each float32 input
// of shape (rows, channels, height, width) with as many channels, at (y, x) the sample's pixel (y+dy, x+dx) or, where flip is 1,
// (y+dy, width-1-x+dx), and fill of the channel where the sample has no such pixel. No number is computed, so that all engines make the same
// bits; [Augmented] does it in Go. What forward computes is not augmented. An engine that does not do this refuses a data file that has "augment".
//
// A state file: "parameters/<name>", "buffers/<name>", "optimizer/<slot>/<name>" (the optimizer's slots under
// PyTorch's names: exp_avg, exp_avg_sq, momentum_buffer, square_avg, grad_avg, sum), all float32, and "step", an int64 scalar: the
// number of steps taken. It decides the next batch, the dropout masks, Adam's bias correction, NAdam's momentum and Adagrad's rate. An
// optimizer slot that does not exist yet (PyTorch creates most at the first step) is written as what it begins with: zeros, or Adagrad's
// initial_accumulator_value.
//
// A gradient file, as grad writes it: "loss" (scalar), "gradients/<name>", "outputs/<name>", "buffers/<name>" as the forward pass in training
// mode leaves them (BatchNorm's new running statistics; the state's own stay as they are) and, when asked,
// "activations/<ONNX value name>", all in the requested element type. The answer may have the digests of the batch that it was computed from: that both sides
// make the same batches of the same data is then seen at once. update reads its "gradients/" and writes a state
// file whose step counter is one more.
//
// An output of the model has one row a sample, or it is a scalar: one number for the whole batch, as of a model that computes its loss itself. forward
// takes [ForwardRows] rows at a time, the last ones may be fewer, or as many as the model's inputs have where their first dimension is fixed, and writes of such an output one number for each pass, a row. Other outputs have the
// rows of all passes.
//
// # Steps of several parts
//
// With train.accumulate = N above 1 in the experiment (absent is 1), step k's batch has up to N*train.batch samples, which are taken in parts of
// train.batch, in their order; the last part may be shorter. For each part, one after the other: a forward and backward pass with the parameters as
// they were before the step, with dropout sites numbered behind those of the part before it (part p's site s is p*S+s, S being the model's number of
// sites), and with BatchNorm's running statistics as that part left them. With the reduction "mean" or "batchmean" the step's loss is the sum of
// the parts' losses, each divided by the number of parts; so are its gradients. With "sum" nothing is divided. One update follows, of the gradients
// of the whole step: what the next section says. grad writes the whole step's loss and gradients, its buffers after the last part, and outputs and
// activations part after part along the first dimension; scalars make a row, and so do the elements of values that differ in other dimensions.
// step's clock may stand between the parts, while the next one's samples are fetched. An engine without this refuses such an experiment.
//
// # The recipe of an update
//
// step and update follow the experiment's optimizer and schedule, both by PyTorch's formulas. In this order:
//
//   - The gradients are clipped where optimizer.clip_norm is above 0: with n the 2-norm of the gradients of all trained parameters
//     together, each is multiplied by min(1, clip_norm / (n + 1e-6)), as torch.nn.utils.clip_grad_norm_ does. What grad writes is not
//     clipped; what update reads is, as the gradients of a step are.
//   - The learning rate of step k, counted from 0, is a function of k alone, computed in float64: fixtures/experiment's type
//     Schedule has the formulas. k is the state's "step" before the update.
//   - Weight decay applies to every trained parameter but those whose name fits a pattern of optimizer.no_decay, in which "*" stands
//     for any text. A pattern that no parameter's name fits is an error of kind "input".
//   - The optimizer updates the parameters; Adam's bias correction counts the update as number k+1.
//
// # Randomness
//
// With random "shared", dropout masks come from one counter-based generator, so that every engine draws the same
// bits: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011; the known answers of
// Random123 hold) with the key (seed low 32 bits, seed high 32 bits) and the counter (i/4, step low 32 bits, step
// high 32 bits, site) for element i in row-major order, which takes the word i%4 of the block. The element is kept
// when its word is less than ceil((1-p) * 2^32), computed in float64; kept elements are scaled by 1/(1-p). Sites
// are numbered from 0 in the order of the Dropout nodes in the ONNX graph, which is the order of the calls. With "own"
// the engine uses what its users would use; tandem asks for that in timed runs alone, after parity was judged with
// shared masks.
//
// # Life and death
//
// [Start] gives an engine a process group of its own, so that the terminal's Ctrl-C reaches tandem alone, which then
// ends the engine. An engine needs no signal handler. What it starts itself is killed with its group. A command may
// take long (see [DefaultTimeout]); an engine that takes longer, dies, or writes anything but an answer is ended, and
// the [Failure] shows the last lines of its standard error. After an error answer ([Refusal]) it goes on.
//
// WRITING.md tells how to write an engine, and example/numpy_engine.py is a whole one in plain NumPy.
//
// An engine in Go implements [Engine], embeds [Unimplemented] for what it does not have, and calls [Serve]: the
// package's example is a whole one.
//
// # Time
//
// step measures each step by a monotonic clock around forward, backward and optimizer alone: fetching the batch and
// preparing shared masks are outside. Nothing is left unfinished when the clock stops.
package engine

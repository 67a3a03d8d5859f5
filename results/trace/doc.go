// Package trace is what an engine did, written down: a reference trace is collected once from the engine that is
// believed, a candidate trace from the engine that is judged, against that reference. The judge (package
// results/judge) reads the two traces and nothing else, so it can judge programs that it has never heard of, and a
// recorded reference serves where no reference engine can run.
//
// It does not judge: no limit and no verdict is here. It does compute one kind of number, because the data behind it
// would be too large to keep: the distance of each of the reference's rounding variants from the float64 result.
//
// # What is collected
//
// The reference trains freely from the initial state. On the way, at each judged step s, it stops and answers, all
// from the same state and batch:
//
//   - its whole state (so that the candidate can be given it: teacher forcing);
//   - loss, outputs, gradients and activations in float32 and in float64;
//   - the same in float32 under each of its variants, of which the distance to the float64 result is kept: the noise;
//   - the state after one optimizer update with its float32 gradients, the update computed in float32 and in float64;
//   - the state after the exact step: the float64 gradients, rounded once to float32, updated in float64; and the
//     distances of updates with the variants' gradients from it: the noise of a whole step;
//   - the state after its own training step.
//
// Then it trains from starts nudged by one unit in the last place ([Nudge]); their losses show how fast rounding
// grows. The candidate is given each judged state and the reference's float32 gradients and answers likewise, then trains
// [ReplaySteps] steps on from there; at last it trains freely from its own initial state.
//
// Where a candidate's free run leaves the reference's is known only afterwards. While the reference can still be started, its steps there are
// added to both traces ([AddReferenceStep], [AddCandidateSteps]) and say that they were.
//
// # On disk
//
// A trace is a folder:
//
//	trace.json                 what is not a tensor, and the digests of all other files
//	losses.safetensors         "run": float64, the loss of every free-running step; "nudged/<name>": those of the nudged starts
//	final.safetensors          parameters after the free run, sampled: "parameters/<name>"; "nudged" ones are not kept
//	eval-initial.safetensors   outputs for the test rows in eval mode, before training: "outputs/<name>"
//	eval-trained.safetensors   the same after the free run
//	step-<s>/state.safetensors     the whole state before step s as the protocol defines it, float32 (reference)
//	step-<s>/before.safetensors    its parameters, sampled: "parameters/<name>" (reference)
//	step-<s>/float32.safetensors   "gradients/<name>" (whole in a reference), "outputs/<name>", "activations/<name>", "buffers/<name>" after the pass
//	step-<s>/float64.safetensors   the same names in float64
//	step-<s>/update32.safetensors  "parameters/<name>", "optimizer/<slot>/<name>" after the update with the reference's gradients
//	step-<s>/update64.safetensors  the same, computed in float64
//	step-<s>/exact.safetensors     the same after the exact step, float64 (reference)
//	step-<s>/after.safetensors     "parameters/", "optimizer/" and "buffers/" after the engine's own training step
//
// <s> has six digits or more. A file without tensors is absent. state.safetensors is absent at step 0 of a trace that
// was told to leave it out ([ReferenceOptions.OmitInitialState]): the candidate then starts from the state it loaded,
// whose digests are compared.
//
// # Sampling
//
// Tensors may be kept in part, so that a recording is small: with trace.json's "sample" at K > 0, a tensor of n > K
// elements keeps K of them. The row-major positions 0..n-1 are cut into K blocks, block j being [j*n/K, (j+1)*n/K)
// in integer division, and of block j the element at (j * 2654435761 mod 2^32) mod the block's length is kept. The
// blocks cover the whole tensor; the hashed offset keeps the positions from falling into step with a row length. The values are
// stored as a vector, and the file's metadata has "shape/<tensor>" with the full shape as a JSON array. Reference gradients and
// states are always whole, because engines are given them, and a candidate's outputs, because its loss is computed from them. Norms and errors of a sampled tensor are those of the
// sample, on both sides alike.
//
// # Versions
//
// trace.json's "schema" is [Schema]; another one is refused. Readers are strict: unknown fields, files that are
// missing, altered (each has its SHA-256) or not listed, tensors outside the names above, and counts that do not fit are
// errors, because a verdict rests on this folder.
package trace

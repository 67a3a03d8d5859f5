// Package judge decides whether a candidate trains as a reference does. It reads two traces (package results/trace)
// and returns the part of the record that says so: [Judge]. It knows no engine, no model and no operator.
//
// After a FAIL, [Diagnose] says where it comes from. Nothing here says anything about speed.
//
// # The difficulty
//
// Two correct programs do not train to the same bits: they add in another order. Training amplifies such
// differences exponentially, faster still when a unit falls on the other side of a kink (ReLU at zero), so that after
// some hundreds of steps correct programs may be 10 % apart in loss. Conversely a wrong program may have a loss curve
// that looks right: Adam divides a wrong gradient scale out again. So neither a tolerance on the curve nor one on the final
// weights separates right from wrong.
//
// # The method
//
// Steps are judged one at a time ("teacher forcing"): before each judged step the candidate is given the reference's
// whole state, so that no step is blamed for an earlier one's rounding. For every tensor of the step, O is the
// reference's result in float64 from the same float32 state and batch, and the error of a result X is norm-wise,
//
//	e(X) = ||X - O|| / ||O||    (Euclidean norms, computed in float64 with scaling)
//
// because rounding-error bounds for inner products and matrix products are of this kind: an element that cancels to
// nearly nothing is off by any factor, its tensor is not (N. J. Higham, Accuracy and Stability of Numerical Algorithms,
// 2nd edition, SIAM 2002, sections 3.1, 3.5 and 6.2). How large e may be is not assumed but measured: the noise
// floor F is the largest e among the reference's own variants, which compute the same thing in other orders. Judged is
//
//	rho = e(candidate) / max(F, 2 * 2^-24)
//
// where 2^-24 is float32's unit roundoff (Higham, section 2.1) and two of them are what a correctly rounded result may have
// beside another one. Limits are those of experiment.Thresholds, by their TOML names, and nowhere else:
//
//   - PASS needs, at every judged step, the quantile (95 %, nearest rank) of rho over the stage's tensors at most pass_rho.
//   - FAIL is a rho above fail_rho at fail_steps judged steps, or at all of them if there are fewer. The tensor need not be the same
//     each time. One step is enough above the square of fail_rho where the result is a continuous function of what it is
//     computed from (all stages but the gradients): there no kink can be blamed.
//   - Everything between is INCONCLUSIVE and says why.
//
// If the candidate computes in float64 as well, its distance from O is the float64 gap. From float32 to float64
// rounding shrinks by 2^29, about 5e8; a mistake does not shrink. A gap above float64_gap is FAIL at once in forward pass,
// loss and optimizer. In the gradients it is FAIL at fail_steps steps, or at once if outputs or loss of the step have a gap too (at a
// kink the function is continuous: only derivatives jump), or if every gradient of the step has one (a flipped unit changes only
// the gradients of what lies before it). Otherwise one unit may have stood exactly at a kink: INCONCLUSIVE.
//
// # The stages, in the order in which a mistake spreads
//
//   - data: the SHA-256 of every tensor that either engine read, and of the judged steps' batches where both say what they made.
//   - initial weights: names, types, shapes and bits of the whole initial state, as written out by each engine, and again of each
//     state that the candidate was given, as it holds it after grad and update, which must change nothing.
//   - forward: every output; and each activation that both engines have. A missing output is a FAIL, a missing activation is not: engines may fuse.
//   - loss: from the gradient pass, and as the training step itself reports it (by the FAIL rule alone).
//   - backward: every gradient. This is the heart of the comparison.
//   - optimizer: parameters and moments after one update with the reference's float32 gradients, so that a gradient's rounding is not
//     blamed on the optimizer; and after the candidate's own training step, which need not use the parts that were judged apart.
//   - buffers: after the training step, against the float64 ones that the reference's gradient pass came with; where it came with none, against its own float32
//     ones with two roundings as floor. A running mean's float64 gap is relative to the spread of what it is the mean of, where that is larger.
//   - free-running curve: below.
//
// Tensors that are missing, surplus, of another shape, or not finite where the reference is finite are FAIL whatever the rest
// says. Outputs and activations may hold infinities, as scores do that a mask hides: an infinity agrees with the same one at the same place, with
// nothing else, and takes no part in the norms. A NaN agrees with nothing. Where the reference itself is not finite beyond that, or its noise was not
// measured, and where nothing was compared, the stage is INCONCLUSIVE.
//
// # What the floor of an update is
//
// An update changes a weight by perhaps a thousandth of it, so for parameters the judged quantity is the change,
// X - W against O - W with the weights W before. A float32 weight cannot hold the exact result; rounding it costs up to 2^-24 |W|,
// which may be 1e-4 of a small change, and no engine can avoid it. That is no reason for a wider tolerance, which
// would hide a wrong epsilon: the cost is computed. The floor is the largest of the reference's own error, ||fl32(O) - O|| (the exact result
// rounded once), and two roundings. For the whole step O is the float64 update by the float64 gradients (rounded once to float32,
// as they travel), and the floor comes from updates with the gradients of every variant: Adam magnifies the relative noise of gradients near
// zero, and so it is measured with it. Its tail is heavy, so whole steps are judged by the FAIL rule alone; they are there for engines
// whose training step is not what they answered for, such as one that never steps.
//
// # Zeros
//
// A bias before a BatchNorm has the gradient zero in exact arithmetic and noise in any other. Where ||O|| is at most structural_zero
// times the largest norm among its neighbours (the same kind of tensor at the same step), both norms are taken relative to that neighbour.
// 0/0 counts as agreement; anything else over zero is infinite, and fails.
//
// # What the floor of a loss is
//
// A loss is one number, and the variants of one step are a handful of draws of its rounding: all may be near zero by luck, as they
// are for the small loss of a short batch. So the floor is also no less than
//
//	2^-24 * sum over all weights of |w * dL/dw|
//
// the loss's componentwise condition number with respect to the weights times the backward error of one rounding (Higham,
// sections 1.5, 1.6 and 3.1: the float32 result of an inner product is the exact one for weights that are off by roundings). It is how far the
// loss moves when each weight moves by its unit roundoff in the direction that hurts; no program that computes in float32
// can be asked to know the loss better. It is computed from the reference's float64 gradients, at the same step. The float64
// gap is judged as elsewhere.
//
// # Curves
//
// The reference is trained again from starts nudged by one unit in the last place. The envelope at step t is the largest
// relative distance of their losses from the reference's up to t; the horizon is the first step at which it passes the limit of that name.
//
// When a training first flips a kink is chance: of five nudged runs some flip it at step 300, and some in 785 steps never. A candidate is
// one more draw, and it rounds in every operation, where a nudged run was moved once. Under Adam the first gradient of a hitherto dead unit makes
// a full-size update of its whole row, so that one flip moves the loss by 1e-3 at once; from then on the distance grows
// tenfold in some 40 to 60 steps and ends near 10 %. So leaving the envelope, the departure, is no mistake by itself, at whatever
// step. Judged is instead:
//
//   - The leap. A loss that in one step gets further from the reference's than fail_rho times the largest of the limit horizon, the envelope and
//     its own distance before is FAIL, and the step is named. With the usual limits this is 1.6 % after a clean start: another batch,
//     a dropped one, an optimizer that does not step. The largest jump that a flip was seen to make is 0.4 %.
//   - The replay. From each judged state the candidate trains on by trace.ReplaySteps steps, on the reference's path, where rounding has had
//     little time to grow; how much it grows is measured by replays of the reference's own from the same state, nudged. Their losses leave the
//     reference's by more than the limit horizon, and by more than fail_rho times what those replays do at the same age, at fail_steps of the judged states (or at all, if
//     there are fewer): FAIL. By more than fail_rho times loss_noise, and as much more than those, at as many: INCONCLUSIVE. This sees what one step hands to the next
//     beside the state, such as gradients that are not zeroed; kinks do not flip each time.
//   - The growth. From the step at which its distance crosses the limit horizon, the candidate is compared with the nudged runs at the same
//     age, that is, so many steps after they crossed the level that it had there, as far as one was followed (or with the envelope
//     there, if it is wider). More than fail_rho times as far as the furthest of them at fail_steps steps is FAIL; a
//     median above envelope_slack is INCONCLUSIVE.
//   - The departure itself. Where the reference can be asked, it is brought to the step before the departure and to the departure, and
//     these are judged from its own state like all others. There gradients of float32 prove nothing against a candidate whose float64
//     gaps in outputs, loss and gradients are all within float64_gap: a unit is expected to flip. Where no nudged run shows what growth
//     is ordinary and the steps of the departure were not judged, the curve is INCONCLUSIVE; so it is below the limit horizon if
//     more than half of the steps before the horizon are outside and no nudged run goes as far.
//   - The end. A candidate that is ever further from the reference than the limit horizon must be as good a training: its mean loss over the last tenth may differ from the reference's by the
//     share learning of what the reference learned, or by envelope_slack times what a nudged run's differs by. Else INCONCLUSIVE.
//   - A reference whose mean loss did not fall, from its first to its last tenth, by the share learning and by two standard errors over
//     the batches, or one without nudged runs, makes the curve INCONCLUSIVE.
//   - Unequal numbers of losses, and a loss that is not finite where the reference's is, are FAIL.
//
// Outside the envelope means further than envelope_slack times the larger of it and loss_noise.
//
// After the horizon, and when further trainings were asked for, both sides train several times from other seeds, and [Runs] judges whether
// they are equally good by two one-sided t tests.
//
// A curve never makes a PASS: all other stages must have passed as well. It is needed because it sees what one step from a given
// state does not: a batch repeated where no step was judged, a state that is not all of the state. What is not seen is a mistake
// that spares every judged step, the steps trained on from there and the departure, and then moves the loss by no more than chaos does.
//
// Final weights are compared and shown, never judged.
//
// # Where a FAIL comes from
//
// The verdict names the first stage that is wrong. [Diagnose] goes on from there, with the same tensors, and changes nothing about the
// verdict. It looks at the first judged step that shows the failure, and counts the others.
//
//   - The first tensor that left the noise, in the order of computation: activations in the graph's order, gradients from the last node
//     that reads a parameter to the first, an optimizer's moments before its weights. All that a wrong value leads to is wrong as well; the first
//     one is where to look.
//   - The operator: the node of the ONNX graph that computes that value, or reads that parameter, with the PyTorch module's path and the line of
//     source that the exporter wrote beside it. Both sides need not know every value. Where nothing was compared between the node and the
//     values before it that are right, the nodes between are named too. In the backward pass a node whose other parameter has a right gradient is alone to
//     blame: what came into it was right.
//   - The cause, by fingerprint (package results/judge/fingerprint). Every known mistake is computed: what it would have made of the reference's
//     tensors, in float64, against what the candidate has. An update is computed anew by the published formulas and by the usual wrong
//     ones (package results/judge/updateformula has their sources), a loss from the candidate's own outputs with other labels, another batch's
//     labels, one more softmax; initial weights and data by the digests of what a mistake would have made of them. A tensor is
//     explained when it is within the noise of the prediction and at most a sixteenth of the difference is left. Two tensors of thousands of elements that agree to
//     fifteen digits up to one factor leave little room for another explanation; where they do, the certainty is lower and says so.
//
// This is the reasoning of mutation testing turned round (R. DeMillo, R. Lipton, F. Sayward, "Hints on test data selection", Computer 11(4), 1978: programs
// that are wrong are mostly wrong in a small way that can be listed), with the list of mistakes that implementations of training are known for (see the
// planted ones of the native engine), and of delta debugging's first cause (A. Zeller, "Isolating cause-effect chains from computer programs", FSE 2002): the earliest state that
// differs, not the loudest. A fingerprint that is not found says nothing. None is found between correct programs, which the tests hold.
//
// What shows the failure is left in the run's folder for whoever does not trust this program (package results/evidence).
package judge

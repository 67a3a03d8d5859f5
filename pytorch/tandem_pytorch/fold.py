"""Constant folding that leaves what is trained alone.

torch.onnx's own optimizer folds parameters into each other (BatchNorm into a convolution, transposed weights), merges
parameters of equal values and dropouts of equal inputs. Here parameters and floating-point buffers are hidden from the
folder as if they were inputs, and random operators are never evaluated, although their arguments are constant.
"""

from __future__ import annotations

import onnx_ir as ir
import onnx_ir.passes.common as passes
from onnxscript.optimizer._constant_folding import FoldConstantsPass

#: Operators whose result is not a function of their inputs.
RANDOM_OPERATORS = frozenset(
    {"Dropout", "Bernoulli", "RandomUniform", "RandomUniformLike", "RandomNormal", "RandomNormalLike", "Multinomial"}
)

#: Largest constants that are read and written by folding, in bytes.
_INPUT_LIMIT = 1 << 20
_OUTPUT_LIMIT = 1 << 22


def fold(model: ir.Model, protected: set[str]) -> None:
    """Fold the constants of a model in place; initializers named in ``protected`` keep their name and value."""
    graph = model.graph
    hidden: dict[str, tuple[ir.Value, ir.TensorProtocol | None]] = {}
    for name in [name for name in graph.initializers if name in protected]:
        value = graph.initializers.pop(name)
        hidden[name] = (value, value.const_value)
        value.const_value = None
        graph.inputs.append(value)
    try:
        ir.passes.Sequential(
            passes.InlinePass(),
            FoldConstantsPass(
                shape_inference=True,
                input_size_limit=_INPUT_LIMIT,
                output_size_limit=_OUTPUT_LIMIT,
                should_fold=lambda node: False if node.op_type in RANDOM_OPERATORS else None,
            ),
            passes.IdentityEliminationPass(),
            passes.RemoveUnusedNodesPass(),
            passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
            passes.NameFixPass(),
        )(model)
    finally:
        for name, (value, content) in hidden.items():
            graph.inputs.remove(value)
            value.const_value = content
            value.name = name
            if value.uses():
                graph.initializers[name] = value

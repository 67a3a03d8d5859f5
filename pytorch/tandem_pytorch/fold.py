"""Constant folding that leaves what is trained alone.

torch.onnx's own optimizer folds parameters into each other (BatchNorm into a convolution, transposed weights), merges
parameters of equal values and dropouts of equal inputs. Here parameters and floating-point buffers are hidden from the
folder as if they were inputs, and random operators are never evaluated, although their arguments are constant.

Arithmetic that float32 rounds stays in the graph too: the points of affine_grid's linspace, say. A table of its results would give them
to whoever computes in float64 with float32's error, 1e-8 to 1e-6, while PyTorch computes them in the type of the tensors.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes
from onnx.reference import ReferenceEvaluator
from onnxscript.optimizer._constant_folding import FoldConstantsPass

from . import scalars

#: Operators whose result is not a function of their inputs.
RANDOM_OPERATORS = frozenset(
    {"Dropout", "Bernoulli", "RandomUniform", "RandomUniformLike", "RandomNormal", "RandomNormalLike", "Multinomial"}
)

#: Largest constants that are read and written by folding, in bytes.
_INPUT_LIMIT = 1 << 20
_OUTPUT_LIMIT = 1 << 22


#: Operators that make whole numbers or truth values of floating-point ones; a Cast may too.
_DECIDING = frozenset(
    {"Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal", "IsNaN", "IsInf", "ArgMax", "ArgMin", "NonZero"}
)


def fold(model: ir.Model, protected: set[str], doubles: Iterable[float] = ()) -> None:
    """Fold the constants of a model in place; initializers named in ``protected`` keep their name and value.

    ``doubles`` are the numbers that the traced operators were called with, which the graph holds in float32.
    """
    passes.InlinePass()(model)
    graph = model.graph
    exact = _Exact(graph, model.opset_imports.get("", 1), scalars.by_single(doubles))
    hidden: dict[str, tuple[ir.Value, ir.TensorProtocol | None]] = {}
    for name in [name for name in graph.initializers if name in protected]:
        value = graph.initializers.pop(name)
        hidden[name] = (value, value.const_value)
        value.const_value = None
        graph.inputs.append(value)
    try:
        ir.passes.Sequential(
            FoldConstantsPass(
                shape_inference=True,
                input_size_limit=_INPUT_LIMIT,
                output_size_limit=_OUTPUT_LIMIT,
                should_fold=exact.allow,
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


class _Exact:
    """Decides what may be folded: what is the same number in float64, and what whole numbers and truth values come from."""

    def __init__(self, graph: ir.Graph, opset: int, doubles: dict[np.float32, set[float]]) -> None:
        self._opset = opset
        self._doubles = doubles
        self._decides = _deciding(graph)

    def allow(self, node: ir.Node) -> bool | None:
        """Return False for a node that must stay; its inputs are constants. None leaves it to the folder."""
        if node.op_type in RANDOM_OPERATORS:
            return False
        if any(value in self._decides for value in node.outputs):
            return None  # PyTorch decides in float32 as well, and the decision is a constant afterwards
        given = [None if value is None else value.const_value for value in node.inputs]
        if any(tensor is not None and tensor.nbytes > _INPUT_LIMIT for tensor in given):
            return None
        inputs = [None if tensor is None else tensor.numpy() for tensor in given]
        try:
            singles = self._evaluate(node, inputs, wide=False)
            if not any(value.dtype == np.float32 for value in singles):
                return None
            results = self._evaluate(node, [None if value is None else self._widen(value) for value in inputs], wide=True)
        except Exception:  # what onnx's evaluator cannot do is not folded by it either
            return None
        for single, double in zip(singles, results, strict=True):
            if single.dtype == np.float32 and not np.array_equal(self._widen(single), double, equal_nan=True):
                return False
        return None

    def _widen(self, value: np.ndarray) -> np.ndarray:
        """Return float32 numbers in float64; a single one is the double that it was written for."""
        if value.dtype != np.float32:
            return value
        if value.size != 1:
            return value.astype(np.float64)
        return np.full(value.shape, scalars.widen(value.reshape(-1)[0], self._doubles))

    def _evaluate(self, node: ir.Node, inputs: list[np.ndarray | None], wide: bool) -> list[np.ndarray]:
        names = ["" if value is None else f"input_{number}" for number, value in enumerate(inputs)]
        copy = ir.to_proto(node)
        del copy.input[:]
        copy.input.extend(names)
        if wide:
            for attribute in copy.attribute:
                self._widen_attribute(node.op_type, attribute)
        given = {name: value for name, value in zip(names, inputs, strict=True) if value is not None}
        with np.errstate(all="ignore"):
            results: list[Any] = ReferenceEvaluator(copy, opsets={"": self._opset}).run(None, given)
        return [np.asarray(result) for result in results]

    def _widen_attribute(self, operator: str, attribute: onnx.AttributeProto) -> None:
        """Make a node compute in float64 what its attributes say of float32."""
        if attribute.name in ("to", "dtype") and attribute.i == onnx.TensorProto.FLOAT:
            attribute.i = onnx.TensorProto.DOUBLE
        elif operator in ("Constant", "ConstantOfShape") and attribute.t.data_type == onnx.TensorProto.FLOAT:
            attribute.t.CopyFrom(onnx.numpy_helper.from_array(self._widen(onnx.numpy_helper.to_array(attribute.t))))


def _deciding(graph: ir.Graph) -> set[ir.Value]:
    """Return the values that whole numbers or truth values are computed from, other than by their shapes."""
    found: set[ir.Value] = set()
    pending = [node for node in graph if node.op_type in _DECIDING or (node.op_type == "Cast" and not _to_float(node))]
    while pending:
        node = pending.pop()
        for value in node.inputs if node.op_type not in ("Shape", "Size") else ():
            if value is None or value in found:
                continue
            found.add(value)
            producer = value.producer()
            if producer is not None:
                pending.append(producer)
    return found


def _to_float(node: ir.Node) -> bool:
    return ir.DataType(node.attributes["to"].as_int()).is_floating_point()

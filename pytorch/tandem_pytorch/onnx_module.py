"""An ONNX graph as an nn.Module, for a model that comes as a file: PyTorch trains what the graph says.

Initializers are parameters, buffers or constants as the file's manifest says; tandem writes one into a file that has none
(native/pass/describe.go has the rule). Their names are the parameters' names. In training mode Dropout draws and
BatchNormalization uses the batch's statistics where the graph says so; in eval mode neither does.

The first pass for a set of shapes prepares each node and computes what does not depend on the batch's values, such as
shapes; later ones only make the calls that are left.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from .errors import EngineError, InputError, UnsupportedError
from .model_file import DROPOUT_OPERATORS, ModelFile
from .onnx_operators import TABLE, Call, Node

#: How a source that is an ONNX file ends.
SUFFIX = ".onnx"
#: The oldest operator set whose meaning the operators have.
OLDEST = 13


@dataclass
class _Step:
    """A call that every pass makes: places of its inputs and outputs, and of the values that nothing reads later."""

    call: Call
    inputs: list[int]
    outputs: list[int]
    last: list[int] = field(default_factory=list)


@dataclass
class _Plan:
    """What a pass does for one set of shapes: the values that are known before, and the calls."""

    known: list[tuple[int, torch.Tensor]]
    steps: list[_Step]


class OnnxModule(nn.Module):
    """Computes the graph of a model file with its initializers as parameters and buffers."""

    def __init__(self, file: ModelFile) -> None:
        super().__init__()
        model = file.proto
        if not file.manifest:
            raise InputError(f"{file.path} has no manifest: tandem adds one when it is given the file as a model")
        versions = {entry.domain: entry.version for entry in model.opset_import}
        self._path, self._opset = file.path, versions.get("", versions.get("ai.onnx", 0))
        self._nodes = list(model.graph.node)
        self._attributes = [_attributes(node) for node in self._nodes]
        self._refuse()
        self._places: dict[str, int] = {}
        self._tensors: list[tuple[int, nn.Module, str]] = []
        manifest = file.manifest
        roles = {entry["name"]: entry["requires_grad"] for entry in manifest["parameters"]}
        numbers = {entry["value"]: entry["number"] for entry in manifest.get("scalars", [])}
        self._constants: dict[str, tuple[np.ndarray, float | None]] = {}
        for name, value in file.initializers.items():
            if name in roles:
                self._register(name, nn.Parameter(torch.from_numpy(np.array(value)), requires_grad=roles[name]))
            elif name in manifest["buffers"]:
                self._register(name, torch.from_numpy(np.array(value)))
            else:
                self._constants[name] = (value, numbers.get(name))
        self._inputs = [self._place(name) for name in file.inputs]
        self._outputs = [self._place(name) for name in file.outputs]
        self._drops = {entry["node"]: float(entry["p"]) for entry in manifest["dropout"]}
        self._momenta = {entry["node"]: float(entry["momentum"]) for entry in manifest["batch_norm"]}
        self._paddings = {entry["weight"]: int(entry["row"]) for entry in manifest["embedding_padding"]}
        #: The values that a node reads, or that are outputs of the graph.
        self._read = {name for node in self._nodes for name in node.input if name} | set(file.outputs)
        self._plans: dict[Any, _Plan] = {}
        self._recorded: dict[str, torch.Tensor] | None = None
        self._wanted: dict[int, str] = {}

    def _refuse(self) -> None:
        if self._opset < OLDEST:
            raise UnsupportedError(
                f"{self._path} has operator set {self._opset}; PyTorch's side reads {OLDEST} and newer: export it with a newer one"
            )
        lacking = [node for node in self._nodes if node.domain not in ("", "ai.onnx") or not _known(node.op_type)]
        if lacking:
            first = lacking[0]
            raise UnsupportedError(
                f"{self._path}: {_title(first)}: PyTorch's side has no importer of this operator"
                + (f" ({len(lacking)} nodes are not supported)" if len(lacking) > 1 else "")
                + "; name the model as file.py:callable instead, or add the operator to onnx_operators.py"
            )

    def _register(self, name: str, value: torch.Tensor) -> None:
        """Add a parameter or buffer under its name, in which dots part modules as in PyTorch."""
        holder: nn.Module = self
        *path, last = name.split(".")
        try:
            for part in path:
                if part not in holder._modules:
                    holder.add_module(part, nn.Module())
                child = holder._modules[part]
                assert child is not None
                holder = child
            if isinstance(value, nn.Parameter):
                holder.register_parameter(last, value)
            else:
                holder.register_buffer(last, value)
        except KeyError as error:
            raise InputError(
                f"{self._path}: the initializer {name} cannot be a name in PyTorch ({error.args[0]}); rename it in the file"
            ) from error
        self._tensors.append((self._place(name), holder, last))

    def _place(self, name: str) -> int:
        return self._places.setdefault(name, len(self._places))

    @contextlib.contextmanager
    def recording(self, names: list[str], seen: dict[str, torch.Tensor]) -> Iterator[None]:
        """Copy values of the graph, by their names, while the block runs."""
        self._recorded, self._wanted = seen, {self._place(name): name for name in names}
        try:
            yield
        finally:
            self._recorded, self._wanted = None, {}

    def forward(self, *inputs: torch.Tensor) -> Any:
        """Compute the outputs: a tensor, or a tuple of several."""
        if len(inputs) != len(self._inputs):
            raise InputError(f"{self._path} has {len(self._inputs)} inputs, and {len(inputs)} are given")
        key = (self.training, torch.get_default_dtype(), tuple(value.shape for value in inputs))
        values: list[Any] = [None] * (len(self._places) + 1)  # the last stays None: what is omitted reads it
        for place, value in zip(self._inputs, inputs, strict=True):
            values[place] = value
        for place, holder, name in self._tensors:
            values[place] = getattr(holder, name)
        plan = self._plans.get(key)
        if plan is None:
            values = self._first(key, values)
        else:
            self._again(plan, values)
        results = tuple(values[place] for place in self._outputs)
        return results[0] if len(results) == 1 else results

    def _again(self, plan: _Plan, values: list[Any]) -> None:
        for place, known in plan.known:
            values[place] = known
        for step in plan.steps:
            result = step.call(*[values[place] for place in step.inputs])
            if isinstance(result, torch.Tensor):
                values[step.outputs[0]] = result
            else:
                for place, value in zip(step.outputs, result, strict=False):
                    if place >= 0:
                        values[place] = value
            if self._recorded is not None:
                self._record(step, values)
            for place in step.last:
                values[place] = None

    def _record(self, step: _Step, values: list[Any]) -> None:
        assert self._recorded is not None
        for place in step.outputs:
            if place in self._wanted and values[place] is not None:
                self._recorded[self._wanted[place]] = values[place].detach().clone()

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _first(self, key: Any, values: list[Any]) -> list[Any]:
        """Prepare a plan and run it, as far as it goes at the same time: later nodes need earlier ones' shapes."""
        dtype = torch.get_default_dtype()
        for node in self._nodes:
            for name in (*node.input, *node.output):
                self._place(name)
        values = [*values[:-1], *[None] * (len(self._places) + 1 - len(values)), None]
        plan = _Plan([], [])
        known: set[int] = set()

        def know(place: int, value: torch.Tensor) -> None:
            known.add(place)
            values[place] = value
            plan.known.append((place, value))

        for name, (array, number) in self._constants.items():
            know(self._place(name), constant(array, dtype, number))
        for node, attributes in zip(self._nodes, self._attributes, strict=True):
            if node.op_type == "Constant":
                know(self._place(node.output[0]), constant(_constant(node, attributes), dtype))
                continue
            inputs = [self._place(name) if name else -1 for name in node.input]
            outputs = [self._place(name) if name else -1 for name in node.output]
            fixed = [place < 0 or place in known for place in inputs]
            try:
                call = TABLE[node.op_type](self._node(node, attributes, [values[p] for p in inputs], fixed, dtype))
                result = call(*[values[place] for place in inputs])
            except EngineError as error:
                raise type(error)(f"{self._path}: {_title(node)}: {error}") from error
            except Exception as error:
                shapes = ", ".join(str(list(values[p].shape)) for p in inputs if p >= 0)
                raise InputError(f"{self._path}: {_title(node)} failed on inputs of shapes {shapes}: {error}") from error
            results = [result] if isinstance(result, torch.Tensor) else list(result)
            foretold = node.op_type in ("Shape", "Size") or all(fixed)
            if foretold and node.op_type not in DROPOUT_OPERATORS:
                for place, value in zip(outputs, results, strict=False):
                    if place >= 0:
                        know(place, value.detach())
                continue
            for place, value in zip(outputs, results, strict=False):
                if place >= 0:
                    values[place] = value
            step = _Step(call, inputs, outputs)
            plan.steps.append(step)
            if self._recorded is not None:
                self._record(step, values)
        self._free(plan, known)
        self._plans[key] = plan
        return values

    def _free(self, plan: _Plan, known: set[int]) -> None:
        """Find the last reader of each value, so that a pass holds no longer than PyTorch itself what is not needed."""
        kept = {*self._outputs, *known, *self._inputs, *(place for place, _, _ in self._tensors), -1}
        for step in reversed(plan.steps):
            for place in {*step.inputs, *step.outputs} - kept:
                kept.add(place)
                step.last.append(place)

    def _node(
        self, node: onnx.NodeProto, attributes: dict[str, Any], inputs: list[Any], known: list[bool], dtype: torch.dtype
    ) -> Node:
        return Node(
            operator=node.op_type,
            attributes=attributes,
            opset=self._opset,
            inputs=inputs,
            known=known,
            used=[name in self._read for name in node.output],
            training=self.training,
            dtype=dtype,
            drops=self._drops.get(node.name),
            padding=self._paddings.get(node.input[0]) if node.op_type == "Gather" else None,
            momentum=self._momenta.get(node.name),
        )


def is_file(source: str) -> bool:
    """Say whether an experiment's ``model.source`` is an ONNX file."""
    return source.endswith(SUFFIX)


def build(file: ModelFile) -> OnnxModule:
    """Return the module of a model file, in training mode."""
    if not file.manifest or not any(entry["requires_grad"] for entry in file.manifest["parameters"]):
        raise InputError(
            f"{file.path} has nothing to train: none of its initializers is a weight; were they exported as inputs or constants?"
        )
    module = OnnxModule(file)
    module.train()
    return module


def _known(operator: str) -> bool:
    return operator in TABLE or operator == "Constant"


def _title(node: onnx.NodeProto) -> str:
    operator = f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
    return f'operator {operator}, node "{node.name or node.output[0]}"'


def widened(number: np.float32 | float) -> float:
    """Return the double of the shortest decimal that reads back as a float32: what its author wrote."""
    return float(str(np.float32(number)))


def constant(array: np.ndarray, dtype: torch.dtype, number: float | None = None) -> torch.Tensor:
    """Return a constant of the graph in the type that is computed in; a single float32 stands for its shortest decimal."""
    if array.dtype == bool:
        return torch.from_numpy(np.array(array))
    if array.dtype.kind in "iu":
        return torch.from_numpy(array.astype(np.int64))
    if array.dtype == np.float32 and array.size == 1:
        number = widened(array.reshape(-1)[0]) if number is None else number
        return torch.full(array.shape, number, dtype=dtype)
    return torch.from_numpy(array.astype(np.float64)).to(dtype)


def _constant(node: onnx.NodeProto, attributes: dict[str, Any]) -> np.ndarray:
    if "value" in attributes:
        return np.asarray(attributes["value"])
    for name, kind in (("value_int", np.int64), ("value_ints", np.int64), ("value_float", np.float64), ("value_floats", np.float64)):
        if name in attributes:
            return np.array(attributes[name], dtype=kind)
    raise UnsupportedError(f"{_title(node)}: a constant of attributes {sorted(attributes)} is not supported")


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return a node's attributes: numbers as doubles of their shortest decimals, text, lists, arrays of tensors."""
    result: dict[str, Any] = {}
    for entry in node.attribute:
        value: Any = onnx.helper.get_attribute_value(entry)
        match entry.type:
            case onnx.AttributeProto.FLOAT:
                value = widened(value)
            case onnx.AttributeProto.FLOATS:
                value = [widened(number) for number in value]
            case onnx.AttributeProto.STRING:
                value = value.decode()
            case onnx.AttributeProto.TENSOR:
                value = numpy_helper.to_array(value)
            case onnx.AttributeProto.GRAPH | onnx.AttributeProto.GRAPHS:
                raise UnsupportedError(f"{_title(node)}: control flow is not supported")
            case onnx.AttributeProto.INTS:
                value = list(value)
        result[entry.name] = value
    return result

"""The exporter's examination of its own result: each check is a sentence with its counts, or an error.

The graph is evaluated by ONNX Runtime with all optimizations off (its default ones give wrong results for BatchNorm in
training mode), against the module run by PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import torch
from onnx import numpy_helper
from torch import nn

from . import rewrite
from .errors import EngineError
from .gradients import call, copies
from .losses import outputs
from .manifest import scopes_of
from .masks import MaskSource, SharedMasks, Site
from .model_file import DROPOUT_OPERATORS

#: Largest difference of an output, relative to the reference's largest element. Rounding in float32 stays below 1e-5
#: in deep models; each known fault of a default export gives more than 1e-2.
TOLERANCE = 1e-4

#: The name of the free first dimension.
BATCH = "batch"

#: The seed and step of the masks that the training-mode comparison draws.
MASK_SEED = 1
MASK_STEP = 0


class CheckError(EngineError):
    """The export is not what it must be: the exporter or PyTorch is at fault, not the user."""


@dataclass(frozen=True)
class Subject:
    """What is examined: the exported model with its manifest, and the module with one batch of inputs."""

    model: onnx.ModelProto
    manifest: dict[str, Any]
    module: nn.Module
    inputs: dict[str, torch.Tensor]
    sites: list[Site]
    #: The model is for batches of as many rows as the inputs have.
    static: bool = False


def run(subject: Subject) -> list[str]:
    """Run every check and return their sentences; the first that fails is raised."""
    checks: list[Callable[[Subject], str]] = [
        _valid,
        _parameters,
        _copies_of_parameters,
        _dropout,
        _batch_norm,
        _eval_mode,
        _train_mode,
    ]
    return [check(subject) for check in checks]


def _valid(subject: Subject) -> str:
    try:
        onnx.checker.check_model(subject.model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise CheckError(f"the exported file is not valid ONNX: {error}; report this with the model") from error
    for value in subject.model.graph.input:
        first = value.type.tensor_type.shape.dim[0]
        if subject.static and first.dim_value != len(subject.inputs[value.name]):
            raise CheckError(f"input {value.name} is not for batches of {len(subject.inputs[value.name])} rows alone")
        if not subject.static and first.dim_param != BATCH:
            raise CheckError(
                f"input {value.name} has the fixed batch size {first.dim_value}: forward must take any number of rows"
            )
    nodes = len(subject.model.graph.node)
    size = f"batches of {len(next(iter(subject.inputs.values())))} rows alone" if subject.static else "any batch size"
    return f"onnx.checker accepts the file: {nodes} nodes, opset {_opset(subject.model)}, {size}"


def _parameters(subject: Subject) -> str:
    """Every parameter is an initializer under its own name, bit-equal, and the outputs depend on it."""
    stored = {tensor.name: tensor for tensor in subject.model.graph.initializer}
    reaching = _reaching_outputs(subject.model.graph)
    total = count = 0
    for name, parameter in subject.module.named_parameters():
        if name not in stored:
            raise CheckError(
                f"parameter {name} is not in the graph: either forward does not use it (remove it from the module), "
                "or the export has folded it (report this with the model)"
            )
        value, own = numpy_helper.to_array(stored[name]), parameter.detach().cpu().contiguous().numpy()
        if value.dtype != own.dtype or value.shape != own.shape or value.tobytes() != own.tobytes():
            raise CheckError(f"initializer {name} is not bit-equal to the parameter; report this with the model")
        if name not in reaching:
            raise CheckError(f"no output of the graph depends on parameter {name}; remove it from the module")
        count += 1
        total += own.size
    for name in subject.manifest["buffers"]:
        value = numpy_helper.to_array(stored[name])
        if value.tobytes() != subject.module.get_buffer(name).detach().cpu().contiguous().numpy().tobytes():
            raise CheckError(f"initializer {name} is not bit-equal to the buffer; report this with the model")
    return (
        f"{count} parameters with {total} numbers are initializers under their PyTorch names, bit-equal, and reach an "
        f"output; so are {len(subject.manifest['buffers'])} buffers"
    )


def _copies_of_parameters(subject: Subject) -> str:
    """No constant is a parameter in disguise, transposed or reshaped: gradients would not reach the original."""
    sorted_values: dict[int, list[tuple[str, np.ndarray]]] = {}
    for name, parameter in subject.module.named_parameters():
        values = np.sort(parameter.detach().cpu().numpy(), axis=None)
        if values.size > 1 and values[0] != values[-1]:  # a constant vector such as a fresh bias proves nothing
            sorted_values.setdefault(values.size, []).append((name, values))
    constants = set(subject.manifest["constants"])
    seen = 0
    for tensor in subject.model.graph.initializer:
        if tensor.name not in constants:
            continue
        seen += 1
        value = numpy_helper.to_array(tensor)
        if value.dtype.kind != "f":
            continue
        for name, values in sorted_values.get(value.size, []):
            if np.array_equal(np.sort(value, axis=None), values):
                raise CheckError(
                    f"constant {tensor.name} holds the numbers of parameter {name}: the export has folded it, and its "
                    "gradient would be lost; report this with the model"
                )
    return f"none of the {seen} constants is a folded copy of a parameter"


def _dropout(subject: Subject) -> str:
    """Every draw of PyTorch's forward pass has its node: the same order, shape and probability, in training mode."""
    graph = subject.model.graph
    nodes = [node for node in graph.node if node.op_type in DROPOUT_OPERATORS]
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    shapes = {value.name: value.type.tensor_type.shape for value in [*graph.value_info, *graph.output, *graph.input]}
    batch = next(iter(subject.inputs.values())).shape[0]
    if len(nodes) != len(subject.sites):
        raise CheckError(f"the graph has {len(nodes)} dropout nodes for {len(subject.sites)} draws of PyTorch")
    for node, site, entry in zip(nodes, subject.sites, subject.manifest["dropout"], strict=True):
        where = f"dropout site {site.index} (node {node.name}, module {entry['module']!r})"
        if node.op_type == "Dropout":
            training = stored.get(node.input[2]) if len(node.input) > 2 else None
            if training is None or not bool(training):
                raise CheckError(f"{where} is not in training mode: it would do nothing; report this with the model")
            ratio = stored.get(node.input[1])
            if ratio is None or np.float32(ratio) != np.float32(entry["p"]):
                raise CheckError(f"{where} has the ratio {ratio}, PyTorch draws with p = {entry['p']}")
        number = next((_attribute(a) for a in node.attribute if a.name == "seed"), None)
        if number != site.index:
            raise CheckError(f"{where} carries the number {number}")
        if 1.0 - entry["p"] != site.keep:
            raise CheckError(f"{where} is recorded with p = {entry['p']!r}, PyTorch keeps with {site.keep!r}")
        declared = shapes.get(node.output[0])
        if declared is None or not _fits(declared, site.shape, batch):
            shown = "unknown" if declared is None else str([d.dim_param or d.dim_value for d in declared.dim])
            raise CheckError(f"{where} has the shape {shown} in the graph, PyTorch draws {list(site.shape)}")
    return f"{len(nodes)} dropout sites: in training mode, with PyTorch's order, shapes and p"


def _batch_norm(subject: Subject) -> str:
    """Every BatchNorm of the module that normalizes by the batch has a node in training mode."""
    modules = [
        layer
        for layer in subject.module.modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.training
    ]
    nodes = [node for node in subject.model.graph.node if node.op_type == "BatchNormalization"]
    training = [
        node
        for node in nodes
        if any(a.name == "training_mode" and a.i == 1 for a in node.attribute) and len(node.output) >= 1
    ]
    if len(training) < len(modules):
        raise CheckError(
            f"the module has {len(modules)} BatchNorm layers in training mode, but {len(training)} of the graph's "
            f"{len(nodes)} BatchNormalization nodes are; report this with the model"
        )
    kept = sum(layer.running_mean is not None for layer in modules)
    if len(subject.manifest["batch_norm"]) < kept:
        raise CheckError(
            f"{kept} BatchNorm layers keep running statistics, but "
            f"{len(subject.manifest['batch_norm'])} nodes update them"
        )
    return f"{len(training)} BatchNormalization nodes for {len(modules)} BatchNorm layers, all in training mode"


def _eval_mode(subject: Subject) -> str:
    """Dropout off, statistics fixed: ONNX Runtime against PyTorch on given rows and on more random ones."""
    means = {entry["mean"] for entry in subject.manifest["batch_norm"]}
    session = _session(rewrite.in_eval_mode(subject.model, means))
    rows = next(iter(subject.inputs.values())).shape[0]
    more = rows if subject.static else rows + 1  # another batch size than the traced one, where it may be
    random = random_rows(subject.inputs, more)
    worst = {}
    for kind, inputs in (("real", subject.inputs), ("random", random)):
        subject.module.eval()
        try:
            with torch.no_grad():
                expected = outputs(subject.module(*inputs.values()))
        finally:
            subject.module.train()
        got = session.run(None, {name: value.numpy() for name, value in inputs.items()})
        worst[kind] = _compare("in eval mode", subject.model, expected, got)
    return (
        f"eval mode, ONNX Runtime against PyTorch: largest relative difference {worst['real']:.1e} on {rows} real "
        f"and {worst['random']:.1e} on {more} random rows"
    )


def _train_mode(subject: Subject) -> str:
    """The same masks on both sides; also finds the graph's values that are outputs of the module's parts."""
    graph = subject.model.graph
    seen: dict[str, torch.Tensor] = {}
    calls: dict[str, int] = {}
    source = MaskSource(MASK_SEED)
    source.prepare(MASK_STEP, [])
    handles = [
        layer.register_forward_hook(_recorder(path, seen, calls))
        for path, layer in subject.module.named_modules()
        if path
    ]
    try:
        with torch.no_grad(), SharedMasks(source):
            tensors = copies(subject.module, torch.float32)
            expected = outputs(call(subject.module, tensors, tuple(subject.inputs.values()), torch.float32))
    finally:
        for handle in handles:
            handle.remove()
    once = {path: value for path, value in seen.items() if calls[path] == 1}
    candidates = _candidates(graph, once)
    masked, names = rewrite.with_mask_inputs(subject.model)
    wanted = [name for values in candidates.values() for name in values]
    session = _session(rewrite.with_outputs(masked, wanted))
    feed = {name: value.numpy() for name, value in subject.inputs.items()}
    for name, site, node in zip(names, subject.sites, _dropout_nodes(graph), strict=True):
        mask = source.mask(site.index, site.shape, site.keep).numpy()
        feed[name] = mask / np.float32(site.keep) if node.op_type == "Dropout" else mask
    results = dict(zip([output.name for output in session.get_outputs()], session.run(None, feed), strict=True))
    worst = _compare("in training mode", subject.model, expected, [results[output.name] for output in graph.output])
    subject.manifest["activations"] = [
        {"value": value, "module": path}
        for path, values in candidates.items()
        for value in _matching(once[path], values, results)
    ]
    rows = next(iter(subject.inputs.values())).shape[0]
    return (
        f"training mode with shared masks, ONNX Runtime against PyTorch: largest relative difference {worst:.1e} on "
        f"{rows} rows; {len(subject.manifest['activations'])} values of the graph are outputs of modules"
    )


def _recorder(path: str, seen: dict[str, torch.Tensor], calls: dict[str, int]) -> Callable[..., None]:
    def record(module: nn.Module, args: Any, output: Any) -> None:
        calls[path] = calls.get(path, 0) + 1
        if isinstance(output, torch.Tensor) and output.dtype == torch.float32:
            seen[path] = output.detach().clone()

    return record


def _candidates(graph: onnx.GraphProto, modules: dict[str, torch.Tensor]) -> dict[str, list[str]]:
    """Return for each module the values computed inside it, the last first.

    Left out are values that are the same for every batch, such as embedded positions: whoever rearranges a batch takes
    the first dimension of an activation for its samples.
    """
    rows = {value.type.tensor_type.shape.dim[0].dim_value for value in graph.input}  # 0 where the batch is open
    fixed = {
        value.name
        for value in graph.value_info
        if not value.type.tensor_type.shape.dim
        or (value.type.tensor_type.shape.dim[0].HasField("dim_value") and value.type.tensor_type.shape.dim[0].dim_value not in rows)
    }
    found: dict[str, list[str]] = {}
    for node in graph.node:
        for path in scopes_of(node):
            if path in modules and node.output[0] and node.output[0] not in fixed:
                found.setdefault(path, []).insert(0, node.output[0])
    return {path: found[path] for path in modules if path in found}


def _matching(value: torch.Tensor, names: list[str], results: dict[str, np.ndarray]) -> list[str]:
    """Return the last value computed inside a module that equals its output in shape and numbers, if there is one."""
    expected = value.numpy()
    for name in names:
        got = results[name]
        if got.shape == expected.shape and got.dtype == expected.dtype and _gap(expected, got) <= TOLERANCE:
            return [name]
    return []


def _compare(where: str, model: onnx.ModelProto, expected: list[torch.Tensor], got: list[np.ndarray]) -> float:
    names = [output.name for output in model.graph.output]
    if not len(names) == len(expected) == len(got):
        raise CheckError(f"PyTorch returns {len(expected)} outputs, the graph has {len(names)}")
    worst = 0.0
    for name, reference, value in zip(names, expected, got, strict=True):
        own = reference.detach().numpy()
        gap = _gap(own, value) if own.shape == value.shape else float("inf")
        if not gap <= TOLERANCE:  # fails on NaN too
            raise CheckError(
                f"output {name} {where}: ONNX Runtime and PyTorch differ by {gap:.1e} of the largest element (shapes "
                f"{list(value.shape)} and {list(own.shape)}), more than {TOLERANCE:.0e}; an operator of the model is "
                "exported with another meaning: report this with the model"
            )
        worst = max(worst, gap)
    return worst


def _gap(reference: np.ndarray, value: np.ndarray) -> float:
    """Return the largest difference relative to the reference's largest element; 0 for two empty arrays."""
    if reference.size == 0:
        return 0.0
    scale = float(np.abs(reference).max())
    difference = float(np.abs(value.astype(np.float64) - reference.astype(np.float64)).max())
    return difference / scale if scale > 0 else difference


def random_rows(inputs: dict[str, torch.Tensor], rows: int) -> dict[str, torch.Tensor]:
    """Return random inputs of some rows: normal numbers for floats, the given rows' range for integers."""
    generator = torch.Generator().manual_seed(0)
    result = {}
    for name, value in inputs.items():
        shape = (rows, *value.shape[1:])
        if value.is_floating_point():
            result[name] = torch.randn(shape, generator=generator, dtype=value.dtype)
        else:
            low, high = int(value.min()), int(value.max()) + 1
            result[name] = torch.randint(low, high, shape, generator=generator, dtype=value.dtype)
    return result


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's errors share no base class of their own
        raise CheckError(f"ONNX Runtime does not load the exported graph: {error}") from error


def _reaching_outputs(graph: onnx.GraphProto) -> set[str]:
    """Return the names of all values that an output depends on."""
    needed = {output.name for output in graph.output}
    for node in reversed(graph.node):  # the nodes are in topological order
        if needed.intersection(node.output):
            needed.update(node.input)
            for attribute in node.attribute:
                needed.update(name for inner in attribute.g.node for name in inner.input)
    return needed


def _dropout_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    return [node for node in graph.node if node.op_type in DROPOUT_OPERATORS]


def _fits(declared: onnx.TensorShapeProto, shape: tuple[int, ...], batch: int) -> bool:
    """Say whether a declared shape admits a drawn one; a symbolic dimension other than "batch" admits any size."""
    if len(declared.dim) != len(shape):
        return False
    for dimension, size in zip(declared.dim, shape, strict=True):
        if dimension.HasField("dim_value") and dimension.dim_value != size:
            return False
        if dimension.dim_param == BATCH and batch != size:
            return False
    return True


def _attribute(attribute: onnx.AttributeProto) -> float:
    return attribute.i if attribute.type == onnx.AttributeProto.INT else attribute.f


def _opset(model: onnx.ModelProto) -> int:
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)

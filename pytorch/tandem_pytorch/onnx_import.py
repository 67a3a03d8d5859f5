"""A model that comes as an ONNX file: examined before it is trained, against ONNX Runtime.

tandem's Go side writes the manifest into the file first (which initializers are trained, which nodes draw masks) and opens
the batch. Here PyTorch's reading of the graph, the module that will be trained, is compared with ONNX Runtime's: in eval
mode for two numbers of rows, and in training mode with the same masks, there value by value. What the file says stays as it
is: a node is never replaced.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper

from . import model_file, onnx_module, rewrite, selfcheck
from .errors import InputError, UnsupportedError
from .gradients import call, copies
from .losses import outputs
from .masks import MaskSource, SharedMasks
from .model_file import ModelFile

def examined(path: str, inputs: dict[str, torch.Tensor]) -> tuple[onnx.ModelProto, dict[str, Any], int]:
    """Return the file's model with what was checked in its manifest, the manifest, and the number of trained numbers.

    ``inputs`` are example rows by input name.
    """
    file = model_file.read(path, with_graph=True)
    if set(file.inputs) != set(inputs):
        raise InputError(
            f"{path} has the inputs {', '.join(file.inputs)}; the experiment's data has {', '.join(inputs)} (data.inputs)"
        )
    inputs = {name: inputs[name] for name in file.inputs}
    module = onnx_module.build(file)
    checks = [_eval_mode(module, file, inputs)]
    sentence, activations = _training_mode(module, file, inputs)
    checks.append(sentence)
    manifest = dict(file.manifest)
    if not manifest.get("activations"):
        manifest["activations"] = activations
    manifest["checks"] = [*manifest["checks"], *checks]
    proto = file.proto
    kept = {entry.key: entry.value for entry in proto.metadata_props}
    helper.set_model_props(proto, {**kept, model_file.MANIFEST: json.dumps(manifest)})
    return proto, manifest, sum(value.numel() for value in module.parameters())


def _eval_mode(module: onnx_module.OnnxModule, file: ModelFile, inputs: dict[str, torch.Tensor]) -> str:
    """Dropout off, running statistics: two numbers of rows, so that a graph that fixes its batch is found out."""
    means = {node.input[3] for node in file.proto.graph.node if node.op_type == "BatchNormalization"}
    session = selfcheck._session(rewrite.in_eval_mode(file.proto, means))
    rows = len(next(iter(inputs.values())))
    worst = {}
    module.eval()
    try:
        for given in (inputs, selfcheck.random_rows(inputs, rows + 1)):
            count = len(next(iter(given.values())))
            try:
                got = session.run(None, {name: value.numpy() for name, value in given.items()})
            except Exception as error:  # ONNX Runtime's errors share no base class of their own
                raise InputError(_fixed(file, f"ONNX Runtime fails on {count} rows: {_first_line(error)}")) from error
            for name, value in zip(file.outputs, got, strict=True):
                if value.ndim > 0 and value.shape[0] != count:
                    raise InputError(_fixed(file, f"output {name} has shape {list(value.shape)} for {count} rows"))
            with torch.no_grad():
                expected = outputs(module(*given.values()))
            worst[count] = selfcheck._compare("in eval mode", file.proto, expected, got)
    finally:
        module.train()
    return (
        "the graph as PyTorch reads it gives in eval mode what ONNX Runtime gives: largest relative difference "
        + ", ".join(f"{gap:.1e} on {count} rows" for count, gap in worst.items())
    )


def _training_mode(
    module: onnx_module.OnnxModule, file: ModelFile, inputs: dict[str, torch.Tensor]
) -> tuple[str, list[dict[str, str]]]:
    """The same masks on both sides, every floating-point value compared; also finds the values with a row for each sample."""
    rows = len(next(iter(inputs.values())))
    shapes: list[dict[str, torch.Tensor]] = []
    for given in (selfcheck.random_rows(inputs, rows + 1), inputs):
        source = MaskSource(selfcheck.MASK_SEED)
        source.prepare(selfcheck.MASK_STEP, [])
        seen: dict[str, torch.Tensor] = {}
        names = [name for node in file.proto.graph.node for name in node.output if name]
        with torch.no_grad(), SharedMasks(source) as masks, module.recording(names, seen):
            tensors = copies(module, torch.float32)
            expected = outputs(call(module, tensors, tuple(given.values()), torch.float32))
        shapes.append(seen)
        sites = masks.sites
    drawing = [entry["node"] for entry in file.manifest["dropout"]]
    if len(sites) != len(drawing):
        raise UnsupportedError(
            f"{file.path} has {len(drawing)} nodes that draw masks, but {len(sites)} are drawn in a pass; "
            "name the model as file.py:callable instead"
        )
    masked, mask_names = _with_masks(file.proto, drawing)
    values = [name for name, value in seen.items() if value.is_floating_point()]
    session = selfcheck._session(rewrite.with_outputs(masked, values))
    feed = {name: value.numpy() for name, value in inputs.items()}
    operators = {node.name: node.op_type for node in file.proto.graph.node}
    for name, site, node in zip(mask_names, sites, drawing, strict=True):
        mask = source.mask(site.index, site.shape, site.keep).numpy()
        feed[name] = mask / np.float32(site.keep) if operators[node] == "Dropout" else mask
    try:
        results = dict(zip([output.name for output in session.get_outputs()], session.run(None, feed), strict=True))
    except Exception as error:  # ONNX Runtime's errors share no base class of their own
        raise UnsupportedError(f"{file.path}: ONNX Runtime fails in training mode: {_first_line(error)}") from error
    worst = selfcheck._compare("in training mode", file.proto, expected, [results[name] for name in file.outputs])
    largest, where = 0.0, ""
    for name in values:
        own = seen[name].numpy()
        gap = selfcheck._gap(own, results[name]) if own.shape == results[name].shape else float("inf")
        if not gap <= selfcheck.TOLERANCE and np.isfinite(own).all():
            node = next(node for node in file.proto.graph.node if name in node.output)
            raise selfcheck.CheckError(
                f"{file.path}: operator {node.op_type}, node {node.name}: PyTorch's reading and ONNX Runtime differ by {gap:.1e} of the "
                f"largest element of {name}, more than {selfcheck.TOLERANCE:.0e}; report this with the model"
            )
        if gap > largest:
            largest, where = gap, name
    nodes = {name: node for node in file.proto.graph.node for name in node.output}
    activations = [
        {"value": name, "module": nodes[name].name}
        for name in values
        if nodes[name].op_type not in _VIEWS and name not in file.outputs and all(_of_rows(s, name, n) for s, n in zip(shapes, (rows + 1, rows), strict=True))
    ]
    sentence = (
        f"so it does in training mode with the same masks at {len(sites)} sites: largest relative difference {worst:.1e} of an "
        f"output and {largest:.1e} of the {len(values)} values on the way"
    )
    return sentence + (f" ({where})" if where else ""), activations


#: Operators whose outputs are their inputs' elements: nothing is computed that could be wrong by itself.
_VIEWS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Transpose", "Expand", "Cast", "CastLike")


def _of_rows(seen: dict[str, torch.Tensor], name: str, rows: int) -> bool:
    return name in seen and seen[name].dim() > 0 and seen[name].shape[0] == rows


def _with_masks(model: onnx.ModelProto, drawing: list[str]) -> tuple[onnx.ModelProto, list[str]]:
    """Return a copy in which the drawing nodes take their masks from inputs; other Dropout nodes pass their input on."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in copy.graph.node:
        if node.op_type in model_file.DROPOUT_OPERATORS and node.name not in drawing:
            node.op_type = "Identity"
            del node.input[1:]
            del node.output[1:]
            del node.attribute[:]
    return rewrite.with_mask_inputs(copy)


def _fixed(file: ModelFile, what: str) -> str:
    return (
        f"{file.path}: {what}; the graph fixes its batch size, or does not have the batch as its first dimension: export it with a "
        "dynamic batch (dynamic_shapes of torch.onnx.export, dynamic_axes of the older one)"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0]

"""The manifest: what a training needs to know about an ONNX graph and its initializers cannot say.

It is JSON in the model's metadata_props under "tandem.manifest":

parameters         name, aliases of a tied parameter, and whether it is trained; in PyTorch's order
buffers            initializers that are buffers of the module, BatchNorm's running statistics above all
constants          all other initializers
batch_norm         for each BatchNormalization in training mode the node, the names of mean and variance going in and
                   out, and PyTorch's momentum (the weight of the new value; ONNX's attribute is one minus it)
dropout            for each site in the order of the graph: the node, its operator, the exact double p, the module path
scalars            single float32 constants with the double that they stand for, where their shortest decimal is another
embedding_padding  embedding weights with the row whose gradient PyTorch zeroes; Gather does not carry it
activations        ONNX values that were found equal to a module's output, with the module's path
checks             what the exporter has checked about its own result, as sentences
"""

from __future__ import annotations

import ast
import platform
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxscript
import torch
from torch import nn

from . import __version__, scalars
from .errors import InputError, UnsupportedError
from .masks import Site
from .model_file import DROPOUT_OPERATORS
from .parameters import floating_buffers

VERSION = 1

#: The key under which torch.onnx keeps a node's module paths: a Python list as text.
SCOPES = "pkg.torch.onnx.name_scopes"


def first_names(module: nn.Module) -> dict[str, str]:
    """Return the first name of every parameter name, which differs for the later names of a tied parameter."""
    first: dict[int, str] = {}
    names: dict[str, str] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names[name] = first.setdefault(id(parameter), name)
    return names


def describe(graph: ir.Graph, module: nn.Module, sites: list[Site], numbers: set[float]) -> dict[str, Any]:
    """Return the manifest of an exported graph without its checks.

    ``sites`` are the draws of the module's own forward pass in training mode; they give each site its exact p.
    ``numbers`` are the doubles that the traced operators were called with.
    """
    names = first_names(module)
    parameters = dict(module.named_parameters())
    buffers = floating_buffers(module)
    return {
        "version": VERSION,
        "exporter": {
            "name": "tandem_pytorch",
            "tandem": __version__,
            "torch": torch.__version__,
            "onnx": onnx.__version__,
            "onnxscript": onnxscript.__version__,
            "python": platform.python_version(),
        },
        "parameters": [
            {
                "name": name,
                "aliases": [alias for alias, own in names.items() if own == name and alias != name],
                "requires_grad": parameter.requires_grad,
            }
            for name, parameter in parameters.items()
        ],
        "buffers": [name for name in buffers if name in graph.initializers],
        "constants": [name for name in graph.initializers if name not in parameters and name not in buffers],
        "batch_norm": _batch_norms(graph, module),
        "dropout": _dropouts(graph, module, sites),
        "scalars": scalars.exact(graph, numbers, {*parameters, *buffers}),
        "embedding_padding": [
            {"weight": names[f"{path}.weight" if path else "weight"], "row": layer.padding_idx}
            for path, layer in module.named_modules()
            if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)) and layer.padding_idx is not None
        ],
        "activations": [],
        "checks": [],
    }


def module_path(node: ir.Node) -> str:
    """Return the path of the innermost module that a node was traced in; "" is the model itself."""
    return scopes(node)[-1]


def scopes(node: ir.Node) -> list[str]:
    """Return the paths of the modules that a node was traced in, from the model ("") inwards."""
    return _parse_scopes(node.metadata_props.get(SCOPES, ""))


def scopes_of(node: onnx.NodeProto) -> list[str]:
    """Return the same paths from a written file's node."""
    return _parse_scopes(next((entry.value for entry in node.metadata_props if entry.key == SCOPES), ""))


def _parse_scopes(text: str) -> list[str]:
    try:
        found = [str(scope) for scope in ast.literal_eval(text)] if text else []
    except (SyntaxError, ValueError):
        found = []
    # The last entry is the operator's own name, unless it stands alone.
    return found[:-1] or [""]


def _batch_norms(graph: ir.Graph, module: nn.Module) -> list[dict[str, Any]]:
    momenta: dict[str, float | None] = {}
    for path, layer in module.named_modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None:
            momenta[f"{path}.running_mean" if path else "running_mean"] = layer.momentum
    entries = []
    for node in graph:
        if node.op_type != "BatchNormalization" or len(node.outputs) < 3:
            continue
        mean, var = str(node.inputs[3].name), str(node.inputs[4].name)  # type: ignore[union-attr]
        if mean not in graph.initializers or mean not in momenta:
            continue  # no running statistics
        entries.append(
            {
                "node": node.name,
                "mean": mean,
                "var": var,
                "mean_output": node.outputs[1].name,
                "var_output": node.outputs[2].name,
                "momentum": momenta[mean],
            }
        )
    return entries


def _dropouts(graph: ir.Graph, module: nn.Module, sites: list[Site]) -> list[dict[str, Any]]:
    nodes = [node for node in graph if node.op_type in DROPOUT_OPERATORS]
    if len(nodes) != len(sites):
        raise InputError(
            f"the graph has {len(nodes)} dropout nodes, but a forward pass in training mode draws {len(sites)} masks; "
            "the model's forward must make the same draws for every batch"
        )
    entries = []
    for node, site in zip(nodes, sites, strict=True):
        path = module_path(node)
        entries.append(
            {
                "site": site.index,
                "node": node.name,
                "operator": node.op_type,
                "p": _exact_p(node, module, path, site),
                "module": path,
            }
        )
    return entries


def ratio(node: ir.Node) -> float | None:
    """Return a Dropout's ratio, or one minus a Bernoulli's probability, in the graph's float32; None if unknown."""
    value = node.inputs[1] if node.op_type == "Dropout" and len(node.inputs) > 1 else node.inputs[0]
    if node.op_type == "Dropout" and len(node.inputs) < 2:
        return 0.5
    if value is None:
        return 0.5
    while value.const_value is None:
        producer = value.producer()
        if producer is None or producer.op_type not in ("Expand", "CastLike", "Cast", "Identity"):
            return None
        value = producer.inputs[0]
        if value is None:
            return None
    number = float(np.asarray(value.const_value.numpy()).reshape(-1)[0])
    return number if node.op_type == "Dropout" else 1.0 - number


def _exact_p(node: ir.Node, module: nn.Module, path: str, site: Site) -> float:
    """Return the double p for which 1 - p is, bit for bit, the probability that PyTorch draws with.

    The graph holds p in float32 alone. The module's own p is tried first, then the shortest decimal of the graph's
    number, then what the draw's probability leaves.
    """
    candidates: list[float] = []
    layer = dict(module.named_modules()).get(path)
    if isinstance(getattr(layer, "p", None), float):
        candidates.append(float(layer.p))  # type: ignore[union-attr]
    in_graph = ratio(node)
    if in_graph is not None:
        candidates.append(float(str(np.float32(in_graph))))
    candidates.append(1.0 - site.keep)
    for p in candidates:
        if 1.0 - p == site.keep:
            return p
    raise UnsupportedError(
        f"dropout site {site.index} (node {node.name}, module {path!r}) keeps with probability {site.keep!r}, which is "
        "1 - p for none of " + ", ".join(map(repr, candidates))
    )

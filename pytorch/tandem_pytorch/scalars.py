"""The doubles behind an exported graph's float32 numbers.

A number in the model's source, such as attention's 1 / sqrt(width of a head), is a double. PyTorch computes with it in
the type of the tensors: in float64, with the double. ONNX writes it as a float32 constant, which alone would make two
sides that compute in float64 differ by 1e-8. So the manifest keeps the doubles that a float32's shortest decimal does not
give back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnx_ir as ir
import torch


def numbers(program: torch.export.ExportedProgram) -> set[float]:
    """Return the floating-point numbers that the operators of a traced program were called with."""
    found: set[float] = set()
    for node in program.graph.nodes:
        for argument in _floats((node.args, node.kwargs)):
            found.add(argument)
        scale = _attention_scale(node)
        if scale is not None:
            found.add(scale)
    return found


def _floats(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _floats(one)
    elif isinstance(value, dict):
        yield from _floats(list(value.values()))


def _attention_scale(node: torch.fx.Node) -> float | None:
    """Return the scale that attention takes by itself when it is given none."""
    if node.target is not torch.ops.aten.scaled_dot_product_attention.default or node.kwargs.get("scale") is not None:
        return None
    query = node.args[0]
    assert isinstance(query, torch.fx.Node)
    return 1.0 / math.sqrt(query.meta["val"].shape[-1])


def exact(graph: ir.Graph, doubles: Iterable[float], skip: set[str]) -> list[dict[str, Any]]:
    """Return the graph's single float32 constants that stand for another double than their shortest decimal says.

    Those whose double is not known, or which two of ``doubles`` would round to, are left out: there the shortest decimal
    stands. ``skip`` names initializers that are no constants.
    """
    behind = by_single(doubles)
    entries = []
    for name, value in graph.initializers.items():
        content = value.const_value
        if name in skip or content is None or content.dtype != ir.DataType.FLOAT or content.size != 1:
            continue
        single = np.float32(content.numpy().reshape(-1)[0])
        number = widen(single, behind)
        if number != float(str(single)) and math.isfinite(number):
            entries.append({"value": name, "number": number})
    return entries


def by_single(doubles: Iterable[float]) -> dict[np.float32, set[float]]:
    """Return the finite numbers among ``doubles`` by the float32 that each is rounded to."""
    behind: dict[np.float32, set[float]] = {}
    for number in doubles:
        if math.isfinite(number):
            with np.errstate(over="ignore", under="ignore"):
                behind.setdefault(np.float32(number), set()).add(number)
    return behind


def widen(single: np.float32, behind: dict[np.float32, set[float]]) -> float:
    """Return the double that a float32 stands for: the only one known, or else the one of its shortest decimal."""
    known = behind.get(single, set())
    return next(iter(known)) if len(known) == 1 else float(str(single))

"""A node of an ONNX file while the importer prepares its call: what the functions of ``onnx_operators.TABLE`` are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from .errors import UnsupportedError

Value = torch.Tensor | None
#: Computes a node from its inputs.
Call = Callable[..., Any]

@dataclass
class Node:
    """A node while its call is prepared."""

    operator: str
    attributes: dict[str, Any]
    opset: int
    #: The inputs at this shape, None for an omitted one: for shapes and types; values only where ``known`` says so.
    inputs: list[Value]
    #: Whether an input is the same for every batch of this shape.
    known: list[bool]
    #: Which outputs are used.
    used: list[bool]
    #: The module is in training mode.
    training: bool
    #: The type of all floating-point numbers.
    dtype: torch.dtype
    #: Of Dropout and Bernoulli: the probability to drop, where a mask is drawn.
    drops: float | None = None
    #: Of Gather: the row without gradient.
    padding: int | None = None
    #: Of BatchNormalization: PyTorch's momentum, where the running variance is PyTorch's unbiased one.
    momentum: float | None = None

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or the default."""
        return self.attributes.get(name, default)

    def has(self, index: int) -> bool:
        """Say whether an input is there."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def value(self, index: int) -> torch.Tensor:
        """Return an input that is there."""
        found = self.inputs[index] if index < len(self.inputs) else None
        if found is None:
            raise UnsupportedError(f"input {index} is missing")
        return found

    def constant(self, index: int) -> torch.Tensor:
        """Return an input that has to be known when the graph is built."""
        value = self.value(index)
        if not self.known[index]:
            raise UnsupportedError(f"input {index} depends on the values of the batch; it must be a constant")
        return value

    def integers(self, index: int, attribute: str = "") -> list[int] | None:
        """Return a constant input of whole numbers, or an older operator set's attribute; None if there is neither."""
        if self.has(index):
            return [int(v) for v in self.constant(index).reshape(-1).tolist()]
        found = self.attributes.get(attribute)
        return None if found is None else [int(v) for v in found]

    def only_first_output(self) -> None:
        """Refuse a node of which another output than the first is used."""
        if any(self.used[1:]):
            raise UnsupportedError("outputs after the first are not supported")


def refuse(condition: bool, what: str) -> None:
    """Refuse a node where the condition holds."""
    if condition:
        raise UnsupportedError(what)

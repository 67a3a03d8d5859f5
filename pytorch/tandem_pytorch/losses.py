"""The loss, which stays outside the ONNX graph, and a model's outputs by position.

The classes are the last dimension of the scores: (batch, C) for one class a sample, (batch, length, C) for one a position.
Every position counts alike, so that "mean" divides by batch * length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from .errors import InputError, UnsupportedError
from .experiment import Loss

#: From the model's first output and the target to a scalar.
LossFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def function(loss: Loss) -> LossFunction:
    """Return torch's own loss function with the experiment's reduction."""
    if loss.kind != "cross_entropy":
        raise UnsupportedError(f'loss "{loss.kind}" is none that this engine knows: cross_entropy')
    reduction = loss.reduction

    def cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(*as_rows(logits, target), reduction=reduction)

    return cross_entropy


def as_rows(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scores (..., C) as (N, C) and targets (...) as (N)."""
    if logits.shape[:-1] != target.shape:
        raise InputError(
            f"the model's first output has shape {list(logits.shape)} for targets of shape {list(target.shape)}; "
            "cross-entropy needs the targets' shape and after it the classes"
        )
    return logits.flatten(0, -2), target.flatten()


def outputs(returned: Any) -> list[torch.Tensor]:
    """Return the tensors that a forward pass returned, by position."""
    if isinstance(returned, torch.Tensor):
        return [returned]
    if isinstance(returned, Mapping):
        returned = list(returned.values())
    if not isinstance(returned, Sequence) or not returned or not all(isinstance(v, torch.Tensor) for v in returned):
        raise InputError(
            f"the model's forward returned {type(returned).__name__}; it must return a tensor, or a tuple, list or "
            "mapping of tensors whose first is the logits"
        )
    return list(returned)


def named_outputs(returned: Any, names: list[str]) -> dict[str, torch.Tensor]:
    """Return a forward pass's tensors under the ONNX graph's output names, matched by position."""
    values = outputs(returned)
    if len(values) != len(names):
        raise InputError(
            f"the model's forward returned {len(values)} tensors, but the ONNX file has {len(names)} outputs "
            f"({', '.join(names)}); export the model again"
        )
    return dict(zip(names, values, strict=True))

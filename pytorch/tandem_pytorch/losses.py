"""The loss, which stays outside the ONNX graph, and a model's outputs by position.

Of class numbers: the classes are the last dimension of the scores, (batch, C) for one class a sample, (batch, length, C) for
one a position, or with class_dim 1 the second one, (batch, C, height, width). Every position counts alike, so that "mean"
divides by batch * length. Other targets have the shape of the model's output, its first or the one that loss.output names.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from .errors import InputError, UnsupportedError
from .experiment import Loss

#: From the model's output that the loss is taken of, and the target, to a scalar.
LossFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def function(loss: Loss) -> LossFunction:
    """Return torch's own loss function with the experiment's settings."""
    if loss.kind not in LOSSES:
        raise UnsupportedError(f'loss "{loss.kind}" is none that this engine knows: {", ".join(LOSSES)}')
    compute = LOSSES[loss.kind]

    def apply(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return compute(loss, output, target)

    return apply


def _cross_entropy(loss: Loss, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(
        *as_rows(loss, output, target), **_class_settings(loss, output), label_smoothing=loss.label_smoothing
    )


def _nll(loss: Loss, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return F.nll_loss(*as_rows(loss, output, target), **_class_settings(loss, output))


def _class_settings(loss: Loss, output: torch.Tensor) -> dict[str, Any]:
    settings: dict[str, Any] = {"reduction": loss.reduction}
    if loss.class_weights:
        settings["weight"] = torch.tensor(loss.class_weights, dtype=output.dtype)
    if loss.ignore_index is not None:
        settings["ignore_index"] = loss.ignore_index
    return settings


def _bce_with_logits(loss: Loss, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    weights = torch.tensor(loss.positive_weights, dtype=output.dtype) if loss.positive_weights else None
    return F.binary_cross_entropy_with_logits(
        output, as_output(loss, output, target), reduction=loss.reduction, pos_weight=weights
    )


def _kl_div(loss: Loss, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a mean over all elements is not the divergence: the experiment says which one it wants
        return F.kl_div(output, as_output(loss, output, target), reduction=loss.reduction, log_target=loss.log_target)


def _output(loss: Loss, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return output.sum() if loss.reduction == "sum" else output.mean()


#: The losses by the experiment's names for them. To add one, add a line here and one in experiment.LOSSES.
LOSSES: dict[str, Callable[[Loss, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "cross_entropy": _cross_entropy,
    "nll": _nll,
    "mse": lambda l, y, t: F.mse_loss(y, as_output(l, y, t), reduction=l.reduction),
    "l1": lambda l, y, t: F.l1_loss(y, as_output(l, y, t), reduction=l.reduction),
    "huber": lambda l, y, t: F.huber_loss(y, as_output(l, y, t), reduction=l.reduction, delta=l.delta),
    "smooth_l1": lambda l, y, t: F.smooth_l1_loss(y, as_output(l, y, t), reduction=l.reduction, beta=l.beta),
    "bce_with_logits": _bce_with_logits,
    "kl_div": _kl_div,
    "output": _output,
}


def as_rows(loss: Loss, logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scores (..., C) as (N, C) and targets (...) as (N)."""
    scores = logits.movedim(1, -1) if loss.class_dim == 1 and logits.dim() > 2 else logits
    if scores.shape[:-1] != target.shape:
        where = "its classes second" if loss.class_dim == 1 else "after it the classes"
        raise InputError(
            f"the model's output has shape {list(logits.shape)} for targets of shape {list(target.shape)}; "
            f"{loss.kind} needs the targets' shape and {where}"
        )
    return scores.flatten(0, -2), target.flatten()


def as_output(loss: Loss, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return targets in the output's shape and type; dimensions of size 1 may be missing in either."""

    def essential(shape: torch.Size) -> list[int]:
        return [n for n in shape[1:] if n != 1]

    if output.shape[:1] != target.shape[:1] or essential(output.shape) != essential(target.shape):
        raise InputError(
            f"the model's output has shape {list(output.shape)} for targets of shape {list(target.shape)}; "
            f"{loss.kind} needs both alike"
        )
    return target.reshape(output.shape).to(output.dtype)


def check(loss: Loss, name: str, shape: Sequence[int], targets: Mapping[str, torch.Tensor]) -> None:
    """Refuse targets, by their names in the data, that do not fit an output of a shape whose first dimension is the batch."""
    for where, target in targets.items():
        output = torch.empty((len(target), *shape[1:]) if shape else (), device="meta")
        if not loss.takes_classes:
            as_output(loss, output, target)
            continue
        classes = as_rows(loss, output, target)[0].shape[1]
        counted = target if loss.ignore_index is None else target[target != loss.ignore_index]
        wrong = counted[(counted < 0) | (counted >= classes)]
        if len(wrong):
            value = int(wrong[0])
            raise InputError(
                f"{where} has the class {value}, and the model's output {name} has {classes} classes: class numbers go from 0 to "
                f"{classes - 1}; give the model more outputs, number the classes from 0, or leave these targets out by "
                f"loss.ignore_index = {value}"
            )


def weight(loss: Loss, target: torch.Tensor) -> float:
    """Return the weight of a part of a batch in the loss of the whole: what a mean divides by, 1 for a sum."""
    if loss.reduction == "sum":
        return 1.0
    if loss.kind not in ("cross_entropy", "nll"):
        return float(len(target))
    counted = target.flatten()
    if loss.ignore_index is not None:
        counted = counted[counted != loss.ignore_index]
    if not loss.class_weights:
        return float(len(counted))
    return float(torch.tensor(loss.class_weights, dtype=torch.float64)[counted].sum())


def outputs(returned: Any) -> list[torch.Tensor]:
    """Return the tensors that a forward pass returned, by position."""
    if isinstance(returned, torch.Tensor):
        return [returned]
    if isinstance(returned, Mapping):
        returned = list(returned.values())
    if not isinstance(returned, Sequence) or not returned or not all(isinstance(v, torch.Tensor) for v in returned):
        raise InputError(
            f"the model's forward returned {type(returned).__name__}; it must return a tensor, or a tuple, list or "
            "mapping of tensors, of which the loss takes the first or the one that loss.output names"
        )
    return list(returned)


def position(loss: Loss, names: list[str]) -> int:
    """Return the position of the output that the loss is taken of, among a model's outputs by name."""
    if not loss.output:
        return 0
    if loss.output in names:
        return names.index(loss.output)
    if loss.output.isdecimal() and int(loss.output) < len(names):
        return int(loss.output)
    raise InputError(
        f'loss.output: the model has no output "{loss.output}": it may be one of {", ".join(names)}, or a position from 0 to {len(names) - 1}'
    )


def named_outputs(returned: Any, names: list[str]) -> dict[str, torch.Tensor]:
    """Return a forward pass's tensors under the ONNX graph's output names, matched by position."""
    values = outputs(returned)
    if len(values) != len(names):
        raise InputError(
            f"the model's forward returned {len(values)} tensors, but the ONNX file has {len(names)} outputs "
            f"({', '.join(names)}); export the model again"
        )
    return dict(zip(names, values, strict=True))

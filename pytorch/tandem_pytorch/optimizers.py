"""PyTorch's optimizers with the experiment's values, and their moments as named tensors.

The whole recipe of an update is here: weight-decay groups, clipping by the global norm, the step's learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from . import schedules
from .errors import InputError, UnsupportedError
from .experiment import OPTIMIZERS, Optimizer, Schedule, fitting
from .lion import Lion


@dataclass(frozen=True)
class Kind:
    """One of torch's optimizers."""

    optimizer: Callable[..., torch.optim.Optimizer]
    #: The names of the tensors that it keeps for each parameter, as PyTorch calls them.
    slots: Callable[[Optimizer], tuple[str, ...]]
    #: Its keyword arguments for other implementations than a loop over the parameters.
    implementations: tuple[str, ...] = ("foreach", "fused")
    #: It counts its steps in its state.
    counts: bool = True
    #: Its state is made before the first step: torch does so, or has a number in it whose type is to be chosen.
    early: bool = False


def _rmsprop_slots(settings: Optimizer) -> tuple[str, ...]:
    centered = ("grad_avg",) if settings.centered else ()
    return ("square_avg", *centered, *(("momentum_buffer",) if settings.momentum > 0 else ()))


#: The optimizers by the experiment's names for them. To add one, add a line here and one in experiment.OPTIMIZERS.
KINDS: dict[str, Kind] = {
    "sgd": Kind(torch.optim.SGD, lambda s: ("momentum_buffer",) if s.momentum != 0 else (), counts=False),
    "adam": Kind(torch.optim.Adam, lambda _: ("exp_avg", "exp_avg_sq")),
    "adamw": Kind(torch.optim.AdamW, lambda _: ("exp_avg", "exp_avg_sq")),
    "rmsprop": Kind(torch.optim.RMSprop, _rmsprop_slots, ("foreach",)),
    "adagrad": Kind(torch.optim.Adagrad, lambda _: ("sum",), early=True),
    "nadam": Kind(torch.optim.NAdam, lambda _: ("exp_avg", "exp_avg_sq"), ("foreach",), early=True),
    "lion": Kind(Lion, lambda _: ("exp_avg",), ("foreach",), counts=False),
}


def build(settings: Optimizer, parameters: Mapping[str, nn.Parameter], implementation: str) -> torch.optim.Optimizer:
    """Return the optimizer over the parameters, by their first names, that require a gradient.

    ``implementation`` chooses one of torch's, "foreach" or "fused"; with "" torch's own default stands.
    """
    kind = KINDS[settings.kind]
    values: dict[str, Any] = {key: getattr(settings, key) for key in OPTIMIZERS[settings.kind]}
    if implementation:
        if implementation not in kind.implementations:
            raise UnsupportedError(f'PyTorch\'s optimizer "{settings.kind}" has no implementation "{implementation}"')
        values[implementation] = True
    try:
        return kind.optimizer(
            _groups(settings, parameters), lr=settings.learning_rate, weight_decay=settings.weight_decay, **values
        )
    except ValueError as error:
        raise InputError(f"optimizer {settings.kind}: torch refuses its values: {error}") from error


def _groups(settings: Optimizer, parameters: Mapping[str, nn.Parameter]) -> list[dict[str, Any]]:
    """Return torch's parameter groups: those with weight decay, those whose name fits a pattern of no_decay."""
    plain: set[str] = set()
    for pattern in settings.no_decay:
        plain |= fitting(pattern, parameters, "optimizer.no_decay")
    decayed = [value for name, value in parameters.items() if value.requires_grad and name not in plain]
    others = [value for name, value in parameters.items() if value.requires_grad and name in plain]
    groups: list[dict[str, Any]] = [{"params": decayed}] if decayed else []
    return [*groups, {"params": others, "weight_decay": 0.0}] if others else groups


def update(
    optimizer: torch.optim.Optimizer,
    parameters: Iterable[nn.Parameter],
    settings: Optimizer,
    schedule: Schedule,
    step: int,
    foreach: bool = False,
    apply: Callable[[], object] | None = None,
) -> None:
    """Take the update of a step: clip the gradients, set the step's learning rate, let the optimizer step.

    ``parameters`` are the optimizer's, in the module's order; ``foreach`` chooses torch's implementation of clipping
    with several tensors at a time, ``apply`` stands for the optimizer's own step.
    """
    if settings.clip_norm > 0:
        nn.utils.clip_grad_norm_(parameters, settings.clip_norm, foreach=foreach or None)
    rate = schedules.rate(schedule, settings.learning_rate, step)
    for group in optimizer.param_groups:
        group["lr"] = rate
    (apply or optimizer.step)()


def slots(settings: Optimizer) -> tuple[str, ...]:
    """The names of the tensors that the optimizer keeps for each parameter, as PyTorch calls them."""
    return KINDS[settings.kind].slots(settings)


def read_slot(optimizer: torch.optim.Optimizer, parameter: nn.Parameter, slot: str) -> torch.Tensor:
    """Return a moment of a parameter, zeros where the optimizer has not created it yet."""
    value = optimizer.state.get(parameter, {}).get(slot)
    return torch.zeros_like(parameter.data) if value is None else value.detach()


def restore(
    optimizer: torch.optim.Optimizer,
    settings: Optimizer,
    moments: dict[nn.Parameter, dict[str, torch.Tensor]],
    step: int,
) -> None:
    """Replace the whole state of the optimizer by the given moments after ``step`` steps.

    At step 0 with every moment zero nothing is created, as before a first step. That is not the same as zeros: SGD's
    first momentum is the gradient itself, without dampening.
    """
    kind = KINDS[settings.kind]
    optimizer.state.clear()
    if not kind.early and step == 0 and not any(bool(value.any()) for slot in moments.values() for value in slot.values()):
        return
    for parameter, values in moments.items():
        state = optimizer.state[parameter]
        if kind.counts:
            # torch counts in float32, in every implementation.
            state["step"] = torch.tensor(float(step), dtype=torch.float32)
        if settings.kind == "nadam":
            # A function of the step, which torch keeps as a float32 number; a float64 update should not inherit its rounding.
            product = math.prod(
                settings.betas[0] * (1.0 - 0.5 * 0.96 ** (t * settings.momentum_decay)) for t in range(1, step + 1)
            )
            state["mu_product"] = torch.tensor(product, dtype=parameter.dtype)
        for slot, value in values.items():
            state[slot] = value.to(parameter.dtype).clone(memory_format=torch.preserve_format)

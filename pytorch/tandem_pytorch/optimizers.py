"""PyTorch's optimizers with the experiment's values, and their moments as named tensors.

The whole recipe of an update is here: weight-decay groups, clipping by the global norm, the step's learning rate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from . import schedules
from .errors import InputError
from .experiment import Optimizer, Schedule


def build(settings: Optimizer, parameters: Mapping[str, nn.Parameter], implementation: str) -> torch.optim.Optimizer:
    """Return the optimizer over the parameters, by their first names, that require a gradient.

    ``implementation`` chooses one of torch's, "foreach" or "fused"; with "" torch's own default stands.
    """
    trained = _groups(settings, parameters)
    extra: dict[str, Any] = {implementation: True} if implementation else {}
    try:
        if settings.kind == "sgd":
            return torch.optim.SGD(
                trained,
                lr=settings.learning_rate,
                momentum=settings.momentum,
                dampening=settings.dampening,
                weight_decay=settings.weight_decay,
                nesterov=settings.nesterov,
                **extra,
            )
        kind: type[torch.optim.Adam] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.kind]
        return kind(
            trained,
            lr=settings.learning_rate,
            betas=settings.betas,
            eps=settings.eps,
            weight_decay=settings.weight_decay,
            **extra,
        )
    except ValueError as error:
        raise InputError(f"optimizer {settings.kind}: torch refuses its values: {error}") from error


def _groups(settings: Optimizer, parameters: Mapping[str, nn.Parameter]) -> list[dict[str, Any]]:
    """Return torch's parameter groups: those with weight decay, those whose name fits a pattern of no_decay."""
    plain: set[str] = set()
    for pattern in settings.no_decay:
        fitting = re.compile(".*".join(re.escape(part) for part in pattern.split("*")))
        found = {name for name in parameters if fitting.fullmatch(name)}
        if not found:
            raise InputError(
                f'no parameter\'s name fits the pattern "{pattern}" of optimizer.no_decay; the parameters are '
                + ", ".join(parameters)
            )
        plain |= found
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
    if settings.kind == "sgd":
        return ("momentum_buffer",) if settings.momentum != 0 else ()
    return ("exp_avg", "exp_avg_sq")


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
    optimizer.state.clear()
    if step == 0 and not any(bool(value.any()) for slot in moments.values() for value in slot.values()):
        return
    for parameter, values in moments.items():
        state = optimizer.state[parameter]
        if settings.kind != "sgd":
            # torch counts in float32, in every implementation of Adam.
            state["step"] = torch.tensor(float(step), dtype=torch.float32)
        for slot, value in values.items():
            state[slot] = value.to(parameter.dtype).clone(memory_format=torch.preserve_format)

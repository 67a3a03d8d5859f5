"""PyTorch's optimizers with the experiment's values, and their moments as named tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from .errors import InputError
from .experiment import Optimizer


def build(settings: Optimizer, parameters: Iterable[nn.Parameter], fused: bool) -> torch.optim.Optimizer:
    """Return the optimizer over the parameters that require a gradient.

    ``fused`` chooses torch's one-kernel implementation; otherwise torch's own default stands.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    extra: dict[str, Any] = {"fused": True} if fused else {}
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

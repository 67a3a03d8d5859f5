"""Lion, which torch does not have.

Xiangning Chen et al., "Symbolic discovery of optimization algorithms", 2023, algorithm 2, with the weight decay, the defaults
and the names of the moments of its authors' program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class Lion(torch.optim.Optimizer):
    """Moves every weight by the learning rate, in the direction of the sign of an average of gradients.

    A sign has no small error: products and their sum are rounded one by one, so that another program that does the same gets
    the same signs. ``foreach`` computes several parameters at a time, with the same results.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        foreach: bool = False,
    ) -> None:
        if not lr >= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not all(0.0 <= beta < 1.0 for beta in betas):
            raise ValueError(f"Invalid betas: {betas}")
        if not weight_decay >= 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "foreach": foreach})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            averages = []
            for p in parameters:
                state = self.state[p]
                if "exp_avg" not in state:
                    state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                averages.append(state["exp_avg"])
            update = _foreach if group["foreach"] else _single
            update(parameters, [p.grad for p in parameters], averages, group["lr"], *group["betas"], group["weight_decay"])
        return loss


def _single(
    parameters: list[Any],
    gradients: list[Any],
    averages: list[Any],
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
) -> None:
    for p, g, average in zip(parameters, gradients, averages, strict=True):
        direction = (average * beta1).add_(g * (1 - beta1)).sign_()
        p.mul_(1 - lr * weight_decay).sub_(direction.mul_(lr))
        average.mul_(beta2).add_(g * (1 - beta2))


def _foreach(
    parameters: list[Any],
    gradients: list[Any],
    averages: list[Any],
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
) -> None:
    directions = torch._foreach_mul(averages, beta1)
    torch._foreach_add_(directions, torch._foreach_mul(gradients, 1 - beta1))
    torch._foreach_sign_(directions)
    torch._foreach_mul_(directions, lr)
    torch._foreach_mul_(parameters, 1 - lr * weight_decay)
    torch._foreach_sub_(parameters, directions)
    torch._foreach_mul_(averages, beta2)
    torch._foreach_add_(averages, torch._foreach_mul(gradients, 1 - beta2))

"""The learning rate of each step, from the step's number alone.

Steps are counted from 0, and step k's update uses the rate of step k. These are the closed forms of torch.optim's
``SequentialLR([LinearLR(start_factor=1/(warm_up+1), total_iters=warm_up), ...], milestones=[warm_up])`` with
``ConstantLR(factor=1)``, ``LinearLR(1, minimum/peak, total-warm_up)`` or ``CosineAnnealingLR(total-warm_up, minimum)``;
from step ``total`` on the rate stays at the minimum. "step" is ``MultiStepLR``, whose milestones torch counts from the end of
the warm-up, and tandem from the first step. torch's own schedulers hold a state that a step's number would have
to be replayed into, and add up roundings.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .experiment import Schedule

#: How much of the way from the minimum to the peak is left after a share of the decline; None for a rate that stays.
_SHARES: dict[str, Callable[[float], float] | None] = {
    "constant": None,
    "linear": lambda x: 1.0 - x,
    "cosine": lambda x: (1.0 + math.cos(math.pi * x)) / 2.0,
}


def rate(schedule: Schedule, peak: float, step: int) -> float:
    """Return the learning rate of a step."""
    if step < schedule.warm_up:
        return peak * (step + 1) / (schedule.warm_up + 1)
    if schedule.kind == "step":
        value = peak
        for milestone in schedule.milestones:
            if step >= milestone:
                value *= schedule.gamma
        return value
    share = _SHARES[schedule.kind]
    if share is None:
        return peak
    if step >= schedule.total:
        return schedule.minimum
    done = (step - schedule.warm_up) / (schedule.total - schedule.warm_up)
    return schedule.minimum + (peak - schedule.minimum) * share(done)

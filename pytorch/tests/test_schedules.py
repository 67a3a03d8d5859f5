"""The closed forms against torch's own schedulers, step by step."""

from __future__ import annotations

import unittest
import warnings

import torch
from torch.optim import lr_scheduler

from tandem_pytorch import schedules
from tandem_pytorch.experiment import Schedule

PEAK = 0.003


def torch_rates(schedule: Schedule, steps: int) -> list[float]:
    """The rates that torch's schedulers set."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=PEAK)
    decline = schedule.total - schedule.warm_up
    after: lr_scheduler.LRScheduler
    if schedule.kind == "cosine":
        after = lr_scheduler.CosineAnnealingLR(optimizer, T_max=decline, eta_min=schedule.minimum)
    elif schedule.kind == "step":
        milestones = [milestone - schedule.warm_up for milestone in schedule.milestones]
        after = lr_scheduler.MultiStepLR(optimizer, milestones, schedule.gamma)
    elif schedule.kind == "linear":
        after = lr_scheduler.LinearLR(optimizer, 1.0, schedule.minimum / PEAK, decline)
    else:
        after = lr_scheduler.ConstantLR(optimizer, factor=1.0)
    if schedule.warm_up:
        before = lr_scheduler.LinearLR(optimizer, 1 / (schedule.warm_up + 1), total_iters=schedule.warm_up)
        after = lr_scheduler.SequentialLR(optimizer, [before, after], milestones=[schedule.warm_up])
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        after.step()
    return rates


class Rates(unittest.TestCase):
    def test_equal_torch(self) -> None:
        for kind in ("constant", "linear", "cosine", "step"):
            for warm_up in (0, 1, 7):
                schedule = Schedule(kind, warm_up, 40, 0.0005, (9, 10, 30), 0.1)
                with self.subTest(kind, warm_up=warm_up), warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # SequentialLR warns about a call of its own
                    for step, expected in enumerate(torch_rates(schedule, 40)):
                        # torch multiplies the last rate by a factor at each step, so that its roundings add up.
                        self.assertAlmostEqual(schedules.rate(schedule, PEAK, step), expected, delta=1e-13 * PEAK)

    def test_stays_at_the_minimum(self) -> None:
        schedule = Schedule("cosine", 2, 10, 0.0005)
        self.assertEqual([schedules.rate(schedule, PEAK, step) for step in (10, 11, 1000)], [0.0005] * 3)


if __name__ == "__main__":
    unittest.main()

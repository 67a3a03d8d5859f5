"""Record the learning rates of torch.optim.lr_scheduler: python record.py > torch.json"""

import json
import warnings

import torch
from torch.optim import lr_scheduler

CASES = [
    ("constant", 0.5, 0, 0, 0.0, 12),
    ("constant", 0.001, 7, 0, 0.0, 20),
    ("linear", 0.003, 0, 15, 0.0, 15),
    ("linear", 0.003, 5, 25, 0.0004, 25),
    ("cosine", 0.001, 0, 12, 0.0, 12),
    ("cosine", 0.0006, 20, 200, 0.00006, 200),
    ("step", 0.1, 0, [3, 7, 8], 0.1, 14),
    ("step", 0.05, 4, [6, 11], 0.3, 15),
]


# Of "step", total stands for the milestones and minimum for gamma.
def rates(kind, peak, warm_up, total, minimum, steps):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak)
    if kind == "cosine":
        after = lr_scheduler.CosineAnnealingLR(optimizer, T_max=total - warm_up, eta_min=minimum)
    elif kind == "linear":
        after = lr_scheduler.LinearLR(
            optimizer, start_factor=1.0, end_factor=minimum / peak, total_iters=total - warm_up
        )
    elif kind == "step":
        after = lr_scheduler.MultiStepLR(optimizer, milestones=[m - warm_up for m in total], gamma=minimum)
    else:
        after = lr_scheduler.ConstantLR(optimizer, factor=1.0)
    scheduler = after
    if warm_up:
        before = lr_scheduler.LinearLR(optimizer, start_factor=1 / (warm_up + 1), total_iters=warm_up)
        scheduler = lr_scheduler.SequentialLR(optimizer, [before, after], milestones=[warm_up])
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


warnings.simplefilter("ignore")
print(
    json.dumps(
        [
            {"Kind": k, "Peak": p, "WarmUp": w}
            | ({"Milestones": t, "Gamma": m} if k == "step" else {"Total": t, "Minimum": m})
            | {"Rates": rates(k, p, w, t, m, n)}
            for k, p, w, t, m, n in CASES
        ],
        indent=1,
    )
)

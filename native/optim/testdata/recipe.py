"""Writes recipe.json: what PyTorch does with weight-decay groups, clipping by the global norm and a schedule together.

usage: python recipe.py    (needs torch; its version is written into the file)

The gradients' sizes are such that some steps are clipped and some are not.
"""

import json
import pathlib

import torch
from torch.optim import lr_scheduler

STEPS, WARM_UP, PEAK, MINIMUM, DECAY, CLIP = 14, 3, 0.02, 0.001, 0.3, 2.0
SHAPES = {"fc.weight": (3, 5), "fc.bias": (5,), "norm.weight": (5,), "token.weight": (4, 5)}
NO_DECAY = ["*.bias", "norm*", "token.*"]
PLAIN = ["fc.bias", "norm.weight", "token.weight"]

torch.manual_seed(0)
start = {name: torch.randn(shape, dtype=torch.float32) for name, shape in SHAPES.items()}
gradients = [
    {name: torch.randn(shape, dtype=torch.float32) * 0.1 * (step % 5) for name, shape in SHAPES.items()}
    for step in range(STEPS)
]

recorded, clipped = {}, None
for dtype in (torch.float64, torch.float32):
    p = {name: torch.nn.Parameter(value.to(dtype, copy=True)) for name, value in start.items()}
    groups = [
        {"params": [v for n, v in p.items() if n not in PLAIN], "weight_decay": DECAY},
        {"params": [v for n, v in p.items() if n in PLAIN], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=PEAK, foreach=False, fused=False)
    scheduler = lr_scheduler.SequentialLR(
        optimizer,
        [
            lr_scheduler.LinearLR(optimizer, start_factor=1 / (WARM_UP + 1), total_iters=WARM_UP),
            lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS - WARM_UP, eta_min=MINIMUM),
        ],
        milestones=[WARM_UP],
    )
    after, norms = [], []
    for given in gradients:
        for name, value in p.items():
            value.grad = given[name].to(dtype, copy=True)
        norms.append(torch.nn.utils.clip_grad_norm_(p.values(), CLIP, foreach=False).item())
        optimizer.step()
        scheduler.step()
        after.append({name: value.detach().flatten().tolist() for name, value in p.items()})
    recorded[str(dtype).removeprefix("torch.")] = after

out = {
    "torch": torch.__version__.split("+")[0],
    "peak": PEAK, "warm_up": WARM_UP, "total": STEPS, "minimum": MINIMUM,
    "weight_decay": DECAY, "no_decay": NO_DECAY, "clip_norm": CLIP,
    "norms": norms,
    "shapes": SHAPES,
    "start": {n: v.flatten().tolist() for n, v in start.items()},
    "gradients": [{n: v.flatten().tolist() for n, v in g.items()} for g in gradients],
    **recorded,
}
(pathlib.Path(__file__).parent / "recipe.json").write_text(json.dumps(out) + "\n")

"""Writes torch.json: what torch.optim does in ten steps on random gradients, in float64 and float32.

usage: python record.py    (needs torch; its version is written into the file). Lion, which torch does not have, is tandem's own class.

Elements are chosen to be awkward: a gradient that is always 0 (Adam then divides 0 by eps), one of 1e-9 (of eps's size), one of 1e4.
The loops over single tensors are recorded (foreach and fused off): they are PyTorch's definition.
"""

import json
import pathlib
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "pytorch"))
from tandem_pytorch.lion import Lion  # noqa: E402

STEPS = 10
CASES = {
    "sgd": ("SGD", dict(lr=0.1)),
    "sgd weight decay": ("SGD", dict(lr=0.1, weight_decay=0.01)),
    "sgd momentum": ("SGD", dict(lr=0.05, momentum=0.9)),
    "sgd dampening": ("SGD", dict(lr=0.05, momentum=0.9, dampening=0.3)),
    "sgd nesterov": ("SGD", dict(lr=0.05, momentum=0.8, nesterov=True)),
    "sgd all": ("SGD", dict(lr=0.05, momentum=0.7, dampening=0.2, weight_decay=0.05)),
    "sgd nesterov weight decay": ("SGD", dict(lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.1)),
    "adam": ("Adam", dict(lr=1e-3)),
    "adam other numbers": ("Adam", dict(lr=0.03, betas=(0.8, 0.95), eps=1e-6)),
    "adam weight decay": ("Adam", dict(lr=0.01, weight_decay=0.1)),
    "rmsprop": ("RMSprop", dict(lr=0.01)),
    "rmsprop momentum": ("RMSprop", dict(lr=0.01, alpha=0.9, momentum=0.8)),
    "rmsprop centered": ("RMSprop", dict(lr=0.01, alpha=0.9, eps=1e-6, centered=True)),
    "rmsprop all": ("RMSprop", dict(lr=0.02, alpha=0.95, eps=1e-5, centered=True, momentum=0.7, weight_decay=0.05)),
    "adagrad": ("Adagrad", dict(lr=0.1)),
    "adagrad all": ("Adagrad", dict(lr=0.1, lr_decay=0.02, weight_decay=0.1, initial_accumulator_value=0.3, eps=1e-6)),
    "nadam": ("NAdam", dict(lr=0.01)),
    "nadam weight decay": ("NAdam", dict(lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1, momentum_decay=0.1)),
    "nadam decoupled weight decay": ("NAdam", dict(lr=0.01, weight_decay=0.3, decoupled_weight_decay=True)),
    "lion": ("Lion", dict(lr=0.01)),
    "lion weight decay": ("Lion", dict(lr=0.02, betas=(0.8, 0.95), weight_decay=0.3)),
    "adamw": ("AdamW", dict(lr=0.01)),
    "adamw weight decay": ("AdamW", dict(lr=0.01, weight_decay=0.3)),
}

NUMBERS = ("lr", "betas", "alpha", "eps", "weight_decay", "momentum", "dampening", "nesterov", "centered", "lr_decay",
           "initial_accumulator_value", "momentum_decay", "decoupled_weight_decay")

torch.manual_seed(0)
start = torch.randn(13, dtype=torch.float32)
gradients = torch.randn(STEPS, 13, dtype=torch.float32)
gradients[:, 3], gradients[:, 5], gradients[:, 7] = 0, gradients[:, 5] * 1e-9, gradients[:, 7] * 1e4

recorded = []
for name, (kind, options) in CASES.items():
    entry = {"name": name, "kind": kind.lower()}
    for dtype in (torch.float64, torch.float32):
        p = torch.nn.Parameter(start.to(dtype, copy=True))
        maker = Lion if kind == "Lion" else getattr(torch.optim, kind)
        optimizer = maker([p], foreach=False, **({"fused": False} if kind in ("Adam", "AdamW", "Adagrad") else {}), **options)
        if kind == "NAdam":  # kept in the default type, float32, which would round a float64 update
            torch.set_default_dtype(dtype)
        after = []
        for g in gradients:
            p.grad = g.to(dtype, copy=True)
            optimizer.step()
            after.append(p.detach().tolist())
        torch.set_default_dtype(torch.float32)
        slots = {k: v.tolist() for k, v in optimizer.state[p].items() if k not in ("step", "mu_product") and v is not None}
        entry[str(dtype).removeprefix("torch.")] = {"parameter": after, "slots": slots}
    group = optimizer.param_groups[0]
    entry["options"] = {k: group[k] for k in NUMBERS if k in group}
    recorded.append(entry)

out = {"torch": torch.__version__.split("+")[0], "start": start.tolist(), "gradients": gradients.tolist(), "cases": recorded}
(pathlib.Path(__file__).parent / "torch.json").write_text(json.dumps(out) + "\n")

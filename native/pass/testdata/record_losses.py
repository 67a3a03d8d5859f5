"""Writes losses.json: what torch.nn.functional makes of random outputs and targets, in float64, by tandem's own class Loss.

usage: python record_losses.py    (needs torch; its version is written into the file)
"""

import json
import pathlib
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "pytorch"))
from tandem_pytorch import losses  # noqa: E402
from tandem_pytorch.experiment import Loss  # noqa: E402

torch.manual_seed(0)
SCORES, SEQUENCE, IMAGE = (5, 4), (3, 2, 4), (2, 4, 3, 2)
WEIGHTS = (0.5, 2.0, 0.0, 1.25)
CASES = [
    (SCORES, Loss("cross_entropy", "mean")),
    (SCORES, Loss("cross_entropy", "sum")),
    (SEQUENCE, Loss("cross_entropy", "mean")),
    (IMAGE, Loss("cross_entropy", "mean", class_dim=1)),
    (SCORES, Loss("cross_entropy", "mean", class_weights=WEIGHTS)),
    (SCORES, Loss("cross_entropy", "sum", class_weights=WEIGHTS, ignore_index=-100)),
    (SEQUENCE, Loss("cross_entropy", "mean", ignore_index=1)),
    (SCORES, Loss("cross_entropy", "mean", label_smoothing=0.1)),
    (IMAGE, Loss("cross_entropy", "mean", class_weights=WEIGHTS, ignore_index=-100, label_smoothing=0.2, class_dim=1)),
    (SCORES, Loss("nll", "mean")),
    (IMAGE, Loss("nll", "sum", class_weights=WEIGHTS, ignore_index=3, class_dim=1)),
    ((4, 3), Loss("mse", "mean")),
    ((4,), Loss("mse", "sum")),
    ((2, 3, 2), Loss("l1", "mean")),
    ((4, 3), Loss("huber", "mean", delta=0.7)),
    ((4, 3), Loss("huber", "sum", delta=2.0)),
    ((4, 3), Loss("smooth_l1", "mean", beta=0.5)),
    ((4, 3), Loss("bce_with_logits", "mean")),
    ((4, 3), Loss("bce_with_logits", "sum", positive_weights=(0.5, 2.0, 3.0))),
    ((4, 1), Loss("bce_with_logits", "mean", positive_weights=(3.0,))),
    ((4, 3), Loss("kl_div", "batchmean")),
    ((4, 3), Loss("kl_div", "mean")),
    ((4, 3), Loss("kl_div", "sum", log_target=True)),
    ((4,), Loss("output", "mean")),
    ((4, 2), Loss("output", "sum")),
]

recorded = []
for shape, loss in CASES:
    output = (2 * torch.randn(shape, dtype=torch.float64)).requires_grad_()
    entry = {"shape": shape}
    if loss.takes_classes:
        dim = 1 if loss.class_dim == 1 else len(shape) - 1
        target = torch.randint(0, shape[dim], [n for i, n in enumerate(shape) if i != dim])
        if loss.ignore_index is not None:
            target.view(-1)[1] = loss.ignore_index
        entry["classes"] = target.flatten().tolist()
    elif loss.takes_target:
        target = torch.randn(shape, dtype=torch.float64)
        if loss.kind == "bce_with_logits":
            target = (target > 0).double()
            target.view(-1)[0] = 0.25
        if loss.kind == "kl_div":
            target = target.log_softmax(-1) if loss.log_target else target.softmax(-1)
            if not loss.log_target:
                target.view(-1)[0] = 0.0
        entry["numbers"] = target.flatten().tolist()
    else:
        target = torch.empty(shape[0], 0)
    value = losses.function(loss)(output, target)
    (gradient,) = torch.autograd.grad(value, output)
    settings = {key: getattr(loss, key) for key in ("kind", "reduction", "ignore_index", "label_smoothing", "delta", "beta", "log_target")}
    settings |= {"class_weights": loss.class_weights or None, "positive_weights": loss.positive_weights or None}
    settings["class_dim"] = max(loss.class_dim, 0)
    if settings["ignore_index"] is None:
        del settings["ignore_index"]
    entry |= {"loss": settings, "output": output.flatten().tolist(), "value": value.item(), "gradient": gradient.flatten().tolist()}
    recorded.append(entry)

out = {"torch": torch.__version__.split("+")[0], "cases": recorded}
(pathlib.Path(__file__).parent / "losses.json").write_text(json.dumps(out) + "\n")

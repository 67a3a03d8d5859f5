"""Show a FAIL of tandem without tandem: python3 replay.py

Needs numpy and onnx, and onnxruntime or onnx's own reference evaluator. Reads case.json, model.onnx and the tensors in
test_data_set_0 beside it: inputs, the reference's outputs, the candidate's outputs. Exit status 1: the candidate differs
by more than rounding explains. 0: it does not. 2: something is missing here.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

HERE = Path(__file__).resolve().parent


def tensor(kind, index):
    """Read one of the TensorProto files."""
    path = HERE / "test_data_set_0" / f"{kind}_{index}.pb"
    return numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes()))


def distance(x, o):
    """Return ||x - o|| / ||o|| in double precision."""
    x, o = np.asarray(x, np.float64), np.asarray(o, np.float64)
    if x.shape != o.shape:
        return float("inf")
    size = np.linalg.norm(o)
    off = np.linalg.norm(x - o)
    return 0.0 if off == 0 else float(off / size) if size > 0 else float("inf")


def compare(name, x, o, limit):
    """Print how far x is from o, and where most; return whether that is more than rounding."""
    d = distance(x, o)
    differs = not d <= limit  # NaN differs
    print(f"{name}: relative distance {d:.3g} ({'DIFFERS' if differs else 'agrees'}, rounding explains {limit:.2g})")
    if differs and x.shape == o.shape and x.size > 1:
        worst = np.unravel_index(np.nanargmax(np.abs(np.asarray(x, np.float64) - o)), x.shape)
        at = list(map(int, worst))
        print(f"  most at {at}: {float(x[worst]):.9g} where {float(o[worst]):.9g} is expected")
    return differs


def ratio(x, o):
    """Print the factor between two tensors, if there is one."""
    x, o = np.asarray(x, np.float64).ravel(), np.asarray(o, np.float64).ravel()
    if x.shape != o.shape or not o.any():
        return
    factor = float(x @ o / (o @ o))
    left = np.linalg.norm(x - factor * o) / np.linalg.norm(o)
    print(f"  candidate = {factor:.9g} x reference, up to {left:.3g} of it; {np.count_nonzero((x == 0) != (o == 0))} other zeros")


def operator(case):
    """Compute the operator again by a third program."""
    inputs = {name: tensor("input", i) for i, name in enumerate(case["inputs"])}
    expected, candidate, limit = tensor("output", 0), tensor("candidate", 0), case["tolerance"]
    differs = compare(f"candidate ({case['candidate']}) against reference ({case['reference']})", candidate, expected, limit)
    ratio(candidate, expected)
    if case.get("random"):
        print("  the operator draws random numbers: no third program can repeat it")
        return differs
    model = onnx.load(HERE / "model.onnx")
    onnx.checker.check_model(model)
    try:
        import onnxruntime

        third = f"ONNX Runtime {onnxruntime.__version__}"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        (computed,) = session.run(case["outputs"], inputs)
    except Exception as error:  # not installed, or without a kernel for this type
        print(f"  without ONNX Runtime ({type(error).__name__})")
        from onnx.reference import ReferenceEvaluator

        third = f"onnx.reference {onnx.__version__}"
        (computed,) = ReferenceEvaluator(model).run(case["outputs"], inputs)
    reference_off = compare(f"reference against {third}", expected, computed, limit)
    candidate_off = compare(f"candidate against {third}", candidate, computed, limit)
    if candidate_off and not reference_off:
        print(f"{third} sides with the reference.")
    elif reference_off and not candidate_off:
        print(f"{third} sides with the CANDIDATE: look at the reference.")
    return differs


def of_classes(settings, scores, target):
    """Return the cross-entropy of logits, or the negative log-likelihood of log-probabilities, in double precision."""
    z = np.asarray(scores, np.float64)
    z = np.moveaxis(z, 1, -1) if settings.get("class_dim") == 1 else z
    z = z.reshape(-1, z.shape[-1])
    if settings["kind"] == "cross_entropy":
        z = z - z.max(axis=1, keepdims=True)
        z = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    weights = np.array(settings.get("class_weights") or np.ones(z.shape[1]))
    counted = np.flatnonzero(target.reshape(-1) != settings.get("ignore_index", -(2**62)))
    z, target = z[counted], target.reshape(-1)[counted]
    s = settings.get("label_smoothing", 0.0)
    each = -(1 - s) * weights[target] * z[np.arange(len(target)), target] - s / z.shape[1] * (weights * z).sum(axis=1)
    return each.sum() / (weights[target].sum() if settings["reduction"] == "mean" else 1.0)


def of_numbers(settings, output, target):
    """Return a loss of elements in double precision."""
    x = np.asarray(output, np.float64)
    t = np.asarray(target, np.float64).reshape(x.shape) if target.size else np.zeros_like(x)
    d = np.abs(x - t)
    delta, beta = settings.get("delta", 1.0), settings.get("beta", 1.0)
    weights = np.array(settings.get("positive_weights") or [1.0])
    each = {
        "mse": lambda: d**2,
        "l1": lambda: d,
        "huber": lambda: np.where(d < delta, d**2 / 2, delta * (d - delta / 2)),
        "smooth_l1": lambda: np.where(d < beta, d**2 / (2 * beta), d - beta / 2),
        "bce_with_logits": lambda: (1 - t) * x + (1 + (weights - 1) * t) * np.logaddexp(0, -x),
        "kl_div": lambda: np.exp(t) * (t - x) if settings.get("log_target") else t * (np.log(np.where(t > 0, t, 1)) - x),
        "output": lambda: x,
    }[settings["kind"]]()
    return each.sum() / {"mean": each.size, "batchmean": len(x), "sum": 1}[settings["reduction"]]


def loss(case):
    """Compute the loss again from each engine's own outputs."""
    ours, theirs, target = (tensor("input", i) for i in range(3))
    expected, candidate, limit = tensor("output", 0), tensor("candidate", 0), case["tolerance"]
    differs = compare("candidate's loss against the reference's", candidate, expected, limit)
    print(f"  {float(candidate[0]):.9g} where {float(expected[0]):.9g} is expected")
    settings = case["loss"]
    compute = of_classes if settings["kind"] in ("cross_entropy", "nll") else of_numbers
    for name, logits, said in (("reference", ours, expected), ("candidate", theirs, candidate)):
        again = compute(settings, logits, target)
        compare(f"{name}'s loss against numpy's from its own outputs ({again:.9g})", said, np.array([again]), max(limit, 1e-6))
    return differs


def update(o, step, weight, gradient, slots):
    """Return PyTorch's update of one parameter: the weight and the slots after it."""
    lr, decay, after = o["learning_rate"], o["weight_decay"], {}
    if o["kind"] == "sgd":
        g = gradient + decay * weight
        if o["momentum"]:
            b = g if step == 0 else o["momentum"] * slots["momentum_buffer"] + (1 - o["dampening"]) * g
            after["momentum_buffer"] = b
            g = g + o["momentum"] * b if o["nesterov"] else b
        return weight - lr * g, after
    if o["kind"] == "rmsprop":
        g = gradient + decay * weight
        after["square_avg"] = spread = o["alpha"] * slots["square_avg"] + (1 - o["alpha"]) * g * g
        if o["centered"]:
            after["grad_avg"] = slots["grad_avg"] + (1 - o["alpha"]) * (g - slots["grad_avg"])
            spread = spread - after["grad_avg"] ** 2
        change = g / (np.sqrt(spread) + o["eps"])
        if o["momentum"]:
            after["momentum_buffer"] = change = o["momentum"] * slots["momentum_buffer"] + change
        return weight - lr * change, after
    if o["kind"] == "adagrad":
        g = gradient + decay * weight
        after["sum"] = slots["sum"] + g * g
        return weight - lr / (1 + step * o["lr_decay"]) * g / (np.sqrt(after["sum"]) + o["eps"]), after
    b1, b2 = o["betas"]
    if o["kind"] == "lion":
        after["exp_avg"] = b2 * slots["exp_avg"] + (1 - b2) * gradient
        return weight * (1 - lr * decay) - lr * np.sign(b1 * slots["exp_avg"] + (1 - b1) * gradient), after
    t = step + 1
    if o["kind"] == "adamw" or o.get("decoupled_weight_decay"):
        weight, g = weight * (1 - lr * decay), gradient
    else:
        g = gradient + decay * weight
    m = slots["exp_avg"] + (1 - b1) * (g - slots["exp_avg"])
    v = b2 * slots["exp_avg_sq"] + (1 - b2) * g * g
    after["exp_avg"], after["exp_avg_sq"] = m, v
    if o["kind"] == "nadam":
        mu = [b1 * (1 - 0.5 * 0.96 ** (k * o["momentum_decay"])) for k in range(1, t + 2)]
        root = np.sqrt(v / (1 - b2**t)) + o["eps"]
        now, following = (1 - mu[-2]) / (1 - np.prod(mu[:-1])), mu[-1] / (1 - np.prod(mu))
        return weight - lr * now * g / root - lr * following * m / root, after
    return weight - lr / (1 - b1**t) * m / (np.sqrt(v) / np.sqrt(1 - b2**t) + o["eps"]), after


def optimizer(case):
    """Compute the update again by the published formula."""
    given = {name: tensor("input", i) for i, name in enumerate(case["inputs"])}
    weight, gradient = given.pop("parameter"), given.pop("gradient")
    weight_after, after = update(case["optimizer"], case["step"], weight, gradient, given)
    after["parameter"] = weight_after
    differs = False
    for i, name in enumerate(case["outputs"]):
        before = weight if name == "parameter" else 0.0
        # Of a parameter the change is compared; a float32 number cannot hold it better than to its own last place.
        size = np.linalg.norm(after[name] - before)
        limit = max(case["tolerance"], 2.0**-22 * np.linalg.norm(after[name]) / size if size > 0 else 0.0)
        compare(f"reference's {name} against the formula in numpy", tensor("output", i) - before, after[name] - before, limit)
        differs |= compare(f"candidate's {name} against the formula in numpy", tensor("candidate", i) - before, after[name] - before, limit)
        ratio(tensor("candidate", i) - before, after[name] - before)
    return differs


def weights(case):
    """Compute the digests of the exported weights."""
    differs = False
    for initializer in onnx.load(HERE / "model.onnx").graph.initializer:
        if initializer.name not in case["digests"]:
            continue
        ours, theirs = case["digests"][initializer.name]
        digest = hashlib.sha256(np.ascontiguousarray(numpy_helper.to_array(initializer)).tobytes()).hexdigest()
        print(f"{initializer.name}: SHA-256 in the model {digest[:12]}, reference {ours[:12]}, candidate {theirs[:12] or '-'}{'' if digest == theirs else '  DIFFERS'}")
        differs |= digest != theirs
    return differs


def pair(case):
    """Compare two results that nothing here can compute again."""
    expected, candidate = tensor("output", 0), tensor("candidate", 0)
    differs = compare("candidate against reference", candidate, expected, case["tolerance"])
    ratio(candidate, expected)
    if case["inputs"]:
        before = tensor("input", 0)
        print("  changes since before the step:")
        ratio(candidate - before, expected - before)
    return differs


def main():
    """Say what the case is, and show it."""
    case = json.loads((HERE / "case.json").read_text(encoding="utf-8"))
    print(f"{case['experiment']}, stage {case['stage']}, step {case['step']}: {case['tensor'] or 'initial weights'}")
    if case.get("operator"):
        print(f"  {case['operator']['op']}, node {case['operator']['node']}, PyTorch module {case['operator'].get('module', '-')}")
    if case.get("sampled"):
        print("  of larger tensors a sample of the elements is compared")
    print(f"  {case['summary']}")
    kinds = {"operator": operator, "loss": loss, "optimizer": optimizer, "weights": weights}
    return 1 if kinds.get(case["kind"], pair)(case) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, KeyError, ValueError) as error:
        print(f"this folder cannot be replayed: {error}", file=sys.stderr)
        sys.exit(2)
